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
  public static func startTime(of pid: pid_t) -> UInt64? {
    let fields = statusFields(of: pid)
    return fields.count > 19 ? UInt64(fields[19]) : nil
  }

  /// What /proc/PID/stat says from the third field on, the state: proc_pid_stat(5).
  private static func statusFields(of pid: pid_t) -> [Substring] {
    guard let bytes = try? FileSystem.read(FilePath("/proc/\(pid)/stat")) else { return [] }
    // The second field is the name in parentheses and may itself hold spaces and parentheses.
    let text = String(decoding: bytes, as: UTF8.self)
    guard let end = text.lastIndex(of: ")") else { return [] }
    return Array(text[end...].dropFirst().split(separator: " "))
  }

  /// Whether this process started it, or something that this process started.
  private static func isDescendant(_ pid: pid_t) -> Bool {
    var ancestor = pid
    // Numbers that are given anew meanwhile could lead in a circle.
    for _ in 0..<1000 {
      let fields = statusFields(of: ancestor)
      guard fields.count > 1, let parent = pid_t(fields[1]), parent > 0 else { return false }
      if parent == getpid() { return true }
      ancestor = parent
    }
    return false
  }

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

  /// Living children of this process, of all its threads.
  public static func children() -> [pid_t] {
    let tasks = (try? FileSystem.list("/proc/self/task")) ?? []
    return tasks.flatMap { task in
      let bytes = (try? FileSystem.read(FilePath("/proc/self/task/\(task)/children"))) ?? []
      return String(decoding: bytes, as: UTF8.self).split(separator: " ").compactMap { pid_t($0) }
    }
  }

  /// Processes, other than this one, that were started with `entry` (`NAME=value`) in their
  /// environment and that we may look into.
  public static func processes(withEnvironment entry: String) -> [pid_t] {
    let all = ((try? FileSystem.list("/proc")) ?? []).compactMap { pid_t($0) }
    return all.filter { $0 != getpid() && hasEnvironment($0, entry) }
  }

  private static func hasEnvironment(_ pid: pid_t, _ entry: String) -> Bool {
    guard let bytes = try? FileSystem.read(FilePath("/proc/\(pid)/environ")) else { return false }
    return bytes.split(separator: 0).contains { $0.elementsEqual(entry.utf8) }
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

  public static func isAlive(_ pid: pid_t) -> Bool { kill(pid, 0) == 0 || errno == EPERM }

  /// Reaps every child that has exited.
  public static func reapAll() {
    while true {
      let pid = waitpid(-1, nil, WNOHANG)
      if pid == 0 || (pid < 0 && errno != EINTR) { return }
    }
  }
}
