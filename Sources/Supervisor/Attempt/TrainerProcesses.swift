import Glibc
import JobStore
import POSIX
import Reporting
import SystemPackage

/// The attempt's processes: the trainer and all that it started.
final class TrainerProcesses {
  /// A killed process exits within milliseconds, unless it is stuck in the kernel or belongs to another user.
  private static let clearingTimeout = Duration.seconds(10)
  private static let longestPause = Duration.milliseconds(50)

  private let tree: ProcessTree
  /// The supervisor's cgroup at its start, which also contains the trainer.
  private let sharedCgroup: Cgroup?
  private let census: TrainerCensus
  private let degradations: Degradations
  /// nil: no trainer was started, or all of its processes are gone.
  private(set) var child: ChildProcess?
  private var outOfMemory: OutOfMemoryWatch?
  private var clearing: (since: Duration, pause: Duration) = (.zero, .zero)

  init(_ tree: ProcessTree, sharedCgroup: Cgroup?, _ census: TrainerCensus, _ degradations: Degradations) {
    self.tree = tree
    self.sharedCgroup = sharedCgroup
    self.census = census
    self.degradations = degradations
  }

  /// Kills what an earlier supervisor left in the trainer's cgroup.
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

  /// Start time of the trainer, in clock ticks since boot.
  var startTime: UInt64? { census.record?.trainer.startTime }

  func terminate() { try? child?.signal(SIGTERM) }

  func kill() {
    try? child?.signal(SIGKILL)
    child?.signalGroup(SIGKILL)
  }

  // MARK: Out of memory

  /// Number of the attempt's processes that the kernel killed because memory ran out; nil: none, or unknown.
  var oomKills: UInt64? { outOfMemory?.killed.flatMap { $0 > 0 ? $0 : nil } }

  /// Whether the kernel's log names this process.
  func isNamedAsOutOfMemory(_ pid: pid_t) -> Bool { outOfMemory?.logNames(pid) ?? false }

  // MARK: The census

  /// Scans the processes.
  /// - Returns: time until the next scan; nil: there is no trainer.
  func updateCensus() -> Duration? {
    census.update(tree.census())
    return census.nextPause()
  }

  var firstCensusPause: Duration? { census.nextPause() }

  // MARK: Clearing

  /// Processes that are left when the trainer has exited.
  var remaining: [pid_t] { tree.remaining().filter { $0 != child?.pid } }

  func beginClearing(now: Duration) { clearing = (now, .milliseconds(1)) }

  /// Kills the remaining processes.
  /// - Returns: nil when none is left; else the time to wait before the next call. The next attempt waits without a
  ///   limit; after some time the degradation is reported.
  func clear(attempt: UInt64, now: Duration) -> Duration? {
    guard !tree.clear(group: child?.pid) else {
      child = nil
      census.end()
      degradations.end("clearing", "all processes of attempt \(attempt) have exited")
      return nil
    }
    clearing.pause = min(clearing.pause * 2, Self.longestPause)
    if now - clearing.since > Self.clearingTimeout {
      let left = tree.remaining()
      let which = left.isEmpty ? "/proc does not show which" : Words.pids(left)
      degradations.begin(
        "clearing",
        "cannot kill processes of attempt \(attempt) (\(which)); the next attempt waits until they exit")
    }
    return clearing.pause
  }
}
