import Glibc
import JobStore
import POSIX
import SystemPackage

/// Records the trainer's processes, for the next supervisor if this one is killed.
final class TrainerCensus {
  /// Longest time between two scans. A process that is forked and orphaned in between, with its own session and
  /// environment, is not found if the supervisor is killed then.
  private static let longestPause = Duration.seconds(2)
  private static let firstPause = Duration.milliseconds(250)

  private let runDirectory: RunDirectory
  private let mark: JobMark
  private let degradations: Degradations
  private(set) var record: TrainerRecord?
  private var pause = Duration.zero

  init(_ runDirectory: RunDirectory, _ mark: JobMark, _ degradations: Degradations) {
    self.runDirectory = runDirectory
    self.mark = mark
    self.degradations = degradations
  }

  /// Called before the trainer's program begins.
  func begin(_ pid: pid_t, attempt: UInt64, boot: String) throws(POSIXError) {
    let record = TrainerRecord(
      jobID: mark.jobID, stateID: mark.stateID ?? "", attempt: attempt, boot: boot,
      pidNamespace: ProcessTable.namespace,
      trainer: ProcessIdentity(pid: pid, startTime: ProcessTable.startTime(of: pid) ?? 0))
    try record.write(in: runDirectory.path)
    self.record = record
    pause = Self.firstPause
  }

  /// - Parameter family: as it is now.
  func update(_ family: ProcessTable.Family) {
    guard var record else { return }
    // Never reset: processes that a hidden one started may outlive it.
    if family.hasHidden { record.hasHidden = true }
    record.others = family.processes.filter { $0 != record.trainer }
    // Never into a directory that replaced the run directory.
    let hasChanged =
      Set(record.others) != Set(self.record?.others ?? []) || record.hasHidden != self.record?.hasHidden
    guard hasChanged, runDirectory.displacement == nil else { return }
    do {
      try record.write(in: runDirectory.path)
      self.record = record
      degradations.end("census", "the trainer's processes can be recorded again")
    } catch {
      degradations.begin(
        "census",
        "cannot record the trainer's processes, which the next supervisor needs if this one is killed: \(error)"
      )
    }
  }

  /// Time until the next scan; nil: there is no trainer.
  func nextPause() -> Duration? {
    guard record != nil else { return nil }
    defer { pause = min(pause * 2, Self.longestPause) }
    return pause
  }

  /// Called when all processes are gone.
  func end() {
    record = nil
    if runDirectory.displacement == nil { TrainerRecord.remove(in: runDirectory.path) }
  }
}
