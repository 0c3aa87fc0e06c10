import CSpawn
import Glibc
import SystemPackage

/// Queries of /proc. A process may end at any moment, so an unreadable one counts as ended.
public enum ProcessTable {
  /// Makes orphaned descendants children of this process instead of init, so that it can end them.
  public static func becomeSubreaper() throws(POSIXError) {
    try posix("prctl") { hf_set_child_subreaper() }
  }

  public static var bootID: String {
    let bytes = (try? FileSystem.read("/proc/sys/kernel/random/boot_id")) ?? []
    return String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }
  }

  /// Start time in clock ticks since boot. With the pid, it identifies a process uniquely.
  public static func startTime(of pid: pid_t) -> UInt64? { status(of: pid)?.identity.startTime }

  private static func status(of pid: pid_t) -> ProcessStatus? {
    do { return try ProcessStatus.read(pid) } catch { return nil }
  }

  /// The pid namespace, within which pids are valid: pid_namespaces(7). Empty: unknown.
  public static var namespace: String { FileSystem.linkTarget("/proc/self/ns/pid") ?? "" }

  /// All visible processes; nil if unknown: /proc is missing, unreadable, or that of another pid namespace.
  public static func all() -> [ProcessStatus]? {
    guard FileSystem.linkTarget("/proc/self") == "\(getpid())" else { return nil }
    do {
      return try FileSystem.list("/proc").compactMap { pid_t($0) }.compactMap { try ProcessStatus.read($0) }
    } catch {
      return nil
    }
  }

  /// Whether it is a child of this process, or of a descendant.
  private static func isDescendant(_ pid: pid_t) -> Bool {
    var ancestor = pid
    // Reused pids could lead to a cycle.
    for _ in 0..<1000 {
      guard let parent = status(of: ancestor)?.parent, parent > 0 else { return false }
      if parent == getpid() { return true }
      ancestor = parent
    }
    return false
  }

  /// Whether it exists but is hidden in /proc, as another user's process with `hidepid=2`.
  public static func isHidden(_ pid: pid_t) -> Bool {
    guard Glibc.kill(pid, 0) == 0 || errno == EPERM else { return false }
    do { return try ProcessStatus.read(pid) == nil && (Glibc.kill(pid, 0) == 0 || errno == EPERM) } catch {
      return true
    }
  }

  /// Whether /proc hides other users' processes. Checked with process 1, which always exists.
  public static var hidesOthers: Bool { isHidden(1) }

  /// Resident memory of `pid`. This file is readable for every process.
  public static func residentBytes(of pid: pid_t) -> UInt64? {
    guard let bytes = try? FileSystem.read(FilePath("/proc/\(pid)/statm")) else { return nil }
    let fields = String(decoding: bytes, as: UTF8.self).split(separator: " ")
    return fields.count > 1
      ? UInt64(fields[1]).map { pages in
        let (bytes, overflow) = pages.multipliedReportingOverflow(by: UInt64(sysconf(CInt(_SC_PAGESIZE))))
        return overflow ? .max : bytes
      } : nil
  }

  /// Children of all threads of this process; nil if unknown.
  public static func children() -> [pid_t]? {
    guard FileSystem.linkTarget("/proc/self") == "\(getpid())" else { return nil }
    // Kernels without CONFIG_PROC_CHILDREN have no list of children.
    return listedChildren(of: getpid()) ?? all()?.filter { $0.parent == getpid() }.map(\.pid)
  }

  /// - Returns: nil if the kernel has no list.
  private static func listedChildren(of pid: pid_t) -> [pid_t]? {
    guard let tasks = try? FileSystem.list(FilePath("/proc/\(pid)/task")), !tasks.isEmpty else { return nil }
    var children: [pid_t] = []
    for task in tasks {
      do {
        let bytes = try FileSystem.read(FilePath("/proc/\(pid)/task/\(task)/children"))
        children += String(decoding: bytes, as: UTF8.self).split(separator: " ").compactMap { pid_t($0) }
      } catch {
        // The thread may have ended.
        guard !FileSystem.exists(FilePath("/proc/\(pid)/task/\(task)")) else { return nil }
      }
    }
    return children
  }

  /// Processes and their descendants.
  public struct Family: Hashable, Sendable {
    public var processes: [ProcessIdentity] = []
    /// Whether /proc hides some of them.
    public var hasHidden = false
  }

  /// `roots` and their visible descendants.
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

  /// The initial environment of `pid`, raw; nil if this process may not read it.
  public static func environment(of pid: pid_t) -> [ArraySlice<UInt8>]? {
    guard let bytes = try? FileSystem.read(FilePath("/proc/\(pid)/environ")) else { return nil }
    return bytes.split(separator: 0)
  }

  private static func hasEnvironment(_ pid: pid_t, _ entry: String) -> Bool {
    environment(of: pid)?.contains { $0.elementsEqual(entry.utf8) } ?? false
  }

  /// Sends SIGKILL to this process, but not to another one that reused its pid.
  /// - Returns: false without permission (EPERM).
  public static func kill(_ process: ProcessIdentity) -> Bool {
    let descriptor = hf_pidfd_open(process.pid)
    guard descriptor >= 0 else { return errno == ESRCH }
    let held = OpenFile(adopting: descriptor, path: FilePath("pidfd"))
    // Checked after the pidfd was opened, so a match means that the pidfd refers to this process.
    guard startTime(of: process.pid) == process.startTime else { return true }
    return hf_pidfd_send_signal(held.descriptor, SIGKILL) == 0 || errno == ESRCH
  }

  /// Sends a signal to a process named by a trainer, if it is a descendant, or was started elsewhere (`srun`) with
  /// `entry` in its environment, and if it has a handler for the signal, so that the signal cannot end it.
  /// - Returns: whether it was sent.
  public static func signal(_ number: CInt, to pid: pid_t, withEnvironment entry: String) -> Bool {
    let descriptor = hf_pidfd_open(pid)
    guard descriptor >= 0 else { return false }
    let process = OpenFile(adopting: descriptor, path: FilePath("pidfd"))
    // All checks follow the opening of the pidfd: they apply to its process, or that has ended and the pidfd
    // cannot be signalled.
    //
    // The environment is in the process's memory, and reading it blocks while another process hangs with the lock
    // on that memory. So it is not read for a descendant, which a trainer nearly always is.
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
