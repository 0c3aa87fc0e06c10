import Glibc
import POSIX
import Reporting
import SystemPackage

/// The trainer and all processes that it forked. All of them are gone before the next attempt starts.
///
/// Three mechanisms, because each has a gap: the process group misses processes with a session of their own; the
/// subreaper finds all of them, but one generation at a time; the cgroup finds all at once, but only exists if it was
/// delegated.
///
/// Not every child of this process belongs to the trainer: a shell may have forked helpers (`> >(tee log)`) in it
/// before exec. Children that exist at the start are not touched, nor are processes in the supervisor's own session:
/// the trainer has a new session, and a process cannot join an existing one. Nor are helper programs of the supervisor.
struct ProcessTree {
  let cgroup: Cgroup?
  private let bystanders = Set(ProcessTable.children() ?? [])
  private let ownSession = getsid(0)

  init(cgroup: Cgroup?) { self.cgroup = cgroup }

  /// - Returns: nil when /proc does not show them.
  private func children() -> [pid_t]? {
    // The children first: a helper that is started in between is then not among them.
    guard let children = ProcessTable.children() else { return nil }
    let spared = ChildProcess.helperSessions.union([ownSession])
    return children.filter { !bystanders.contains($0) && !spared.contains(getsid($0)) }
  }

  /// All current processes of the trainer.
  func census() -> ProcessTable.Family {
    ProcessTable.descendants(of: children() ?? [])
  }

  /// Pids of the remaining processes.
  func remaining() -> [pid_t] { census().processes.map(\.pid) }

  /// Kills and reaps the remaining processes.
  /// - Returns: whether none is left. If not, call again shortly: a killed process takes a moment to exit.
  func clear(group: pid_t?) -> Bool {
    if let group { kill(-group, SIGKILL) }
    if let cgroup, cgroup.isPopulated { try? cgroup.kill() }
    // When a child is killed, its children are reparented to this process. A few rounds usually reach the leaves.
    for _ in 0..<4 {
      ChildProcess.reapOrphans()
      // A process that is not visible is not gone. Without any child, though, /proc is not needed to know that.
      guard let left = children() else { return ChildProcess.hasNoChildren }
      if left.isEmpty { return !(cgroup?.isPopulated ?? false) }
      for child in left { kill(child, SIGKILL) }
    }
    return false
  }

  /// Kills processes in the trainer's cgroup before there is a trainer. An earlier supervisor that was killed left
  /// them, perhaps without the job's mark in their environment.
  func clearEarlier(timeout: Duration) throws(SupervisorError) {
    guard let cgroup, cgroup.isPopulated else { return }
    let deadline = Duration.nanoseconds(Clock.monotonicNanoseconds) + timeout
    repeat {
      try? cgroup.kill()
      usleep(10_000)
      if !cgroup.isPopulated { return }
    } while .nanoseconds(Clock.monotonicNanoseconds) < deadline
    throw SupervisorError(
      .leftoverProcess, "cannot kill processes of an earlier attempt", path: cgroup.path,
      hint: "systemd-cgls \(cgroup.path)")
  }
}
