import Glibc
import POSIX
import Reporting
import SystemPackage

/// The trainer and whatever it forked. Every one of them is gone before the next attempt starts.
///
/// Three nets, because each has a hole: the process group misses what made a session of its own; the
/// subreaper misses nothing, but one generation at a time; the cgroup catches all at once, where
/// there is one of our own.
///
/// Not every child of ours is the trainer's: a shell may have forked helpers (`> >(tee log)`) in this
/// process before it became the supervisor. What was there at the start is left alone, and so is
/// whatever is in our own session: the trainer began a new one, and nobody can join another's.
struct ProcessTree {
  let cgroup: Cgroup?
  private let bystanders = Set(ProcessTable.children() ?? [])
  private let ownSession = getsid(0)

  init(cgroup: Cgroup?) { self.cgroup = cgroup }

  /// - Returns: nil when /proc does not tell.
  private func children(sparing session: pid_t?) -> [pid_t]? {
    ProcessTable.children()?.filter { pid in
      let itsSession = getsid(pid)
      return !bystanders.contains(pid) && itsSession != ownSession && itsSession != session
    }
  }

  /// All processes of the trainer that there are now.
  func census(sparing session: pid_t?) -> ProcessTable.Family {
    ProcessTable.descendants(of: children(sparing: session) ?? [])
  }

  /// What is left, for whoever waits for its end.
  func remaining(sparing session: pid_t?) -> [pid_t] { census(sparing: session).processes.map(\.pid) }

  /// Kills what is left, and reaps it.
  /// - Parameter session: of a program that helps the supervisor, and stays.
  /// - Returns: whether nothing is left. Call again shortly if not: a killed process takes a moment.
  func clear(group: pid_t?, sparing session: pid_t?) -> Bool {
    if let group { kill(-group, SIGKILL) }
    if let cgroup, cgroup.isPopulated { try? cgroup.kill() }
    // Killing a child hands us its children; a few rounds reach the leaves in one call mostly.
    for _ in 0..<4 {
      ChildProcess.reapOrphans()
      // Not seen is not gone. Whoever has no child at all, though, knows it without /proc.
      guard let left = children(sparing: session) else { return ChildProcess.hasNoChildren }
      if left.isEmpty { return !(cgroup?.isPopulated ?? false) }
      for child in left { kill(child, SIGKILL) }
    }
    return false
  }

  /// Ends what is in the trainer's cgroup before there is a trainer: an earlier supervisor was killed, and
  /// left it, perhaps without anything in its environment by which it would be known.
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
