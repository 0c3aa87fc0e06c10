import Glibc
import JobStore
import POSIX
import Reporting
import SystemPackage

/// The attempt's processes: the trainer, and whatever it started.
final class TrainerProcesses {
  /// Ending takes milliseconds, unless the kernel does not let go or it is another user's.
  private static let clearingTimeout = Duration.seconds(10)
  private static let longestPause = Duration.milliseconds(50)

  private let tree: ProcessTree
  /// That of the supervisor when it began, which has the trainer in it too.
  private let sharedCgroup: Cgroup?
  private let census: TrainerCensus
  private let degradations: Degradations
  /// nil: none was started, or all of its processes are gone.
  private(set) var child: ChildProcess?
  private var outOfMemory: OutOfMemoryWatch?
  private var clearing: (since: Duration, pause: Duration) = (.zero, .zero)
  /// Session of a program that helps the supervisor, and stays.
  var sparedSession: () -> pid_t? = { nil }

  init(_ tree: ProcessTree, sharedCgroup: Cgroup?, _ census: TrainerCensus, _ degradations: Degradations) {
    self.tree = tree
    self.sharedCgroup = sharedCgroup
    self.census = census
    self.degradations = degradations
  }

  /// Ends what an earlier supervisor left in the trainer's cgroup.
  func clearEarlier(timeout: Duration) throws(SupervisorError) { try tree.clearEarlier(timeout: timeout) }

  func launch(
    _ command: TrainerCommand, _ path: FilePath, attempt: UInt64, boot: String
  ) throws(TrainerCommand.Failure) -> ChildProcess {
    outOfMemory = OutOfMemoryWatch(tree.cgroup, shared: sharedCgroup)
    let census = census
    let child = try command.spawn(path, attempt: attempt, cgroup: tree.cgroup) { pid throws(POSIXError) in
      try census.begin(pid, attempt: attempt, boot: boot)
    }
    self.child = child
    return child
  }

  /// Clock ticks since boot at which the trainer began.
  var startTime: UInt64? { census.record?.trainer.startTime }

  func terminate() { try? child?.signal(SIGTERM) }

  func kill() {
    try? child?.signal(SIGKILL)
    child?.signalGroup(SIGKILL)
  }

  // MARK: Out of memory

  /// Processes of the attempt that the kernel killed because memory ran out; nil: none that is known.
  var oomKills: UInt64? { outOfMemory?.killed.flatMap { $0 > 0 ? $0 : nil } }

  /// Whether the kernel's log names this one.
  func isNamedAsOutOfMemory(_ pid: pid_t) -> Bool { outOfMemory?.logNames(pid) ?? false }

  // MARK: The census

  /// Looks which there are.
  /// - Returns: when to look again; nil: there is none any more.
  func updateCensus() -> Duration? {
    census.update(tree.census(sparing: sparedSession()))
    return census.nextPause()
  }

  var firstCensusPause: Duration? { census.nextPause() }

  // MARK: Their end

  /// What the trainer leaves behind when it has exited.
  var remaining: [pid_t] { tree.remaining(sparing: sparedSession()).filter { $0 != child?.pid } }

  func beginClearing(now: Duration) { clearing = (now, .milliseconds(1)) }

  /// Kills what is left.
  /// - Returns: nil when nothing is; else how long to wait before the next call. The next attempt waits,
  ///   however long that takes: whoever can help is told.
  func clear(attempt: UInt64, now: Duration) -> Duration? {
    guard !tree.clear(group: child?.pid, sparing: sparedSession()) else {
      child = nil
      census.end()
      degradations.end("clearing", "all processes of attempt \(attempt) have exited")
      return nil
    }
    clearing.pause = min(clearing.pause * 2, Self.longestPause)
    if now - clearing.since > Self.clearingTimeout {
      let left = tree.remaining(sparing: sparedSession())
      let which = left.isEmpty ? "/proc does not show which" : Words.pids(left)
      degradations.begin(
        "clearing",
        "cannot kill processes of attempt \(attempt) (\(which)); the next attempt waits until they exit")
    }
    return clearing.pause
  }
}
