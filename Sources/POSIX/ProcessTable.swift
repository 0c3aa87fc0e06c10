import CSpawn
import Glibc
import SystemPackage

/// What /proc says of processes. A process may end at any moment: what cannot be read is not there.
public enum ProcessTable {
  /// Orphans below this process become its children instead of init's, so that it can end them.
  public static func becomeSubreaper() throws(POSIXError) {
    try posix("prctl") { hf_set_child_subreaper() }
  }

  public static var bootID: String {
    let bytes = (try? FileSystem.read("/proc/sys/kernel/random/boot_id")) ?? []
    return String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }
  }

  /// Clock ticks since boot at which `pid` began: with the pid, a name that is never reused.
  public static func startTime(of pid: pid_t) -> UInt64? { status(of: pid)?.identity.startTime }

  private static func status(of pid: pid_t) -> ProcessStatus? {
    do { return try ProcessStatus.read(pid) } catch { return nil }
  }

  /// Numbers of processes are those of one namespace: pid_namespaces(7). Empty: not known.
  public static var namespace: String { FileSystem.linkTarget("/proc/self/ns/pid") ?? "" }

  /// All processes that are to be seen; nil: /proc is not there, is that of other processes, or does not say,
  /// which is not to say that there are none.
  public static func all() -> [ProcessStatus]? {
    guard FileSystem.linkTarget("/proc/self") == "\(getpid())" else { return nil }
    do {
      return try FileSystem.list("/proc").compactMap { pid_t($0) }.compactMap { try ProcessStatus.read($0) }
    } catch {
      return nil
    }
  }

  /// Whether this process started it, or something that this process started.
  private static func isDescendant(_ pid: pid_t) -> Bool {
    var ancestor = pid
    // Numbers that are given anew meanwhile could lead in a circle.
    for _ in 0..<1000 {
      guard let parent = status(of: ancestor)?.parent, parent > 0 else { return false }
      if parent == getpid() { return true }
      ancestor = parent
    }
    return false
  }

  /// Whether there is such a process, of which /proc says nothing to us: `hidepid=2`, and it is another user's.
  public static func isHidden(_ pid: pid_t) -> Bool {
    guard Glibc.kill(pid, 0) == 0 || errno == EPERM else { return false }
    do { return try ProcessStatus.read(pid) == nil && (Glibc.kill(pid, 0) == 0 || errno == EPERM) } catch {
      return true
    }
  }

  /// Whether /proc hides other users' processes from us: one that is always there, if this is where it is.
  public static var hidesOthers: Bool { isHidden(1) }

  /// Memory of `pid` that is resident now; of one that may be looked at, which is any.
  public static func residentBytes(of pid: pid_t) -> UInt64? {
    guard let bytes = try? FileSystem.read(FilePath("/proc/\(pid)/statm")) else { return nil }
    let fields = String(decoding: bytes, as: UTF8.self).split(separator: " ")
    return fields.count > 1
      ? UInt64(fields[1]).map { pages in
        let (bytes, overflow) = pages.multipliedReportingOverflow(by: UInt64(sysconf(CInt(_SC_PAGESIZE))))
        return overflow ? .max : bytes
      } : nil
  }

  /// Children of this process, of all its threads; nil: /proc does not tell.
  public static func children() -> [pid_t]? {
    guard FileSystem.linkTarget("/proc/self") == "\(getpid())" else { return nil }
    // Kernels without CONFIG_PROC_CHILDREN have no such list.
    return listedChildren(of: getpid()) ?? all()?.filter { $0.parent == getpid() }.map(\.pid)
  }

  /// - Returns: nil where there is no list.
  private static func listedChildren(of pid: pid_t) -> [pid_t]? {
    guard let tasks = try? FileSystem.list(FilePath("/proc/\(pid)/task")), !tasks.isEmpty else { return nil }
    var children: [pid_t] = []
    for task in tasks {
      do {
        let bytes = try FileSystem.read(FilePath("/proc/\(pid)/task/\(task)/children"))
        children += String(decoding: bytes, as: UTF8.self).split(separator: " ").compactMap { pid_t($0) }
      } catch {
        // A thread may have ended since.
        guard !FileSystem.exists(FilePath("/proc/\(pid)/task/\(task)")) else { return nil }
      }
    }
    return children
  }

  /// Processes and what they started.
  public struct Family: Hashable, Sendable {
    public var processes: [ProcessIdentity] = []
    /// There are others, of which /proc says nothing to us.
    public var hasHidden = false
  }

  /// `roots` and everything below them, as far as it can be seen.
  public static func descendants(of roots: [pid_t]) -> Family {
    var family = Family()
    var next = roots
    var seen = Set(roots)
    while let pid = next.popLast() {
      guard let status = status(of: pid) else {
        if isHidden(pid) { family.hasHidden = true }
        continue
      }
      if status.isZombie { continue }
      family.processes.append(status.identity)
      for child in listedChildren(of: pid) ?? [] where seen.insert(child).inserted { next.append(child) }
    }
    return family
  }

  /// The variables that `pid` was started with, as they lie there; nil: of no process that we may look into.
  public static func environment(of pid: pid_t) -> [ArraySlice<UInt8>]? {
    guard let bytes = try? FileSystem.read(FilePath("/proc/\(pid)/environ")) else { return nil }
    return bytes.split(separator: 0)
  }

  private static func hasEnvironment(_ pid: pid_t, _ entry: String) -> Bool {
    environment(of: pid)?.contains { $0.elementsEqual(entry.utf8) } ?? false
  }

  /// Sends SIGKILL to this process and to no other that has its number by now.
  /// - Returns: false when that is not for us to do (EPERM).
  public static func kill(_ process: ProcessIdentity) -> Bool {
    let descriptor = hf_pidfd_open(process.pid)
    guard descriptor >= 0 else { return errno == ESRCH }
    let held = OpenFile(adopting: descriptor, path: FilePath("pidfd"))
    // Looked at after the pidfd was opened: of this process, or of none.
    guard startTime(of: process.pid) == process.startTime else { return true }
    return hf_pidfd_send_signal(held.descriptor, SIGKILL) == 0 || errno == ESRCH
  }

  /// Sends `signal` to a process that a trainer named, if that was started by us, or elsewhere (`srun`) with
  /// `entry` in its environment, and has a handler for the signal, which then cannot end it.
  /// - Returns: whether it was sent.
  public static func signal(_ number: CInt, to pid: pid_t, withEnvironment entry: String) -> Bool {
    let descriptor = hf_pidfd_open(pid)
    guard descriptor >= 0 else { return false }
    let process = OpenFile(adopting: descriptor, path: FilePath("pidfd"))
    // What is looked at after the pidfd was opened, and is of this pid, is of the process that it holds
    // or of none: then the pidfd refuses.
    //
    // The environment is in its memory, and reading that waits for whoever hangs with the lock on it. So a
    // descendant, as a trainer nearly always is, is not asked for it.
    guard pid != getpid(), isDescendant(pid) || hasEnvironment(pid, entry), handles(pid, number) else {
      return false
    }
    return hf_pidfd_send_signal(process.descriptor, number) == 0
  }

  private static func handles(_ pid: pid_t, _ signal: CInt) -> Bool {
    guard let bytes = try? FileSystem.read(FilePath("/proc/\(pid)/status")) else { return false }
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    // A mask in hexadecimal; the lowest bit is signal 1: proc_pid_status(5).
    guard let line = lines.first(where: { $0.hasPrefix("SigCgt:") }),
      let mask = UInt64(line.dropFirst(7).filter { !$0.isWhitespace }, radix: 16), (1...64).contains(signal)
    else { return false }
    return mask >> UInt64(signal - 1) & 1 == 1
  }

  public static func isAlive(_ pid: pid_t) -> Bool { Glibc.kill(pid, 0) == 0 || errno == EPERM }
}
