import Glibc
import JobStore
import POSIX
import Preemption
import Supervision
import SystemPackage

// Which processes are the trainer's: written down for a supervisor that comes after this one was killed.
extension Runtime {
  /// Between two looks at most. What is born and orphaned in between, in a session and an environment of its own, is
  /// known to nobody if we are killed just then.
  private static let longestCensusPause = Duration.seconds(2)
  /// Ending takes milliseconds, unless the kernel does not let go or it is another user's.
  private static let clearingPatience = Duration.seconds(10)

  /// Called before the trainer's program begins.
  func keepTrainer(_ pid: pid_t, _ number: UInt64) throws(POSIXError) {
    let record = TrainerRecord(
      jobID: mark.jobID, stateID: mark.stateID ?? "", attempt: number, boot: boot,
      pidNamespace: ProcessTable.namespace,
      trainer: ProcessIdentity(pid: pid, startTime: ProcessTable.startTime(of: pid) ?? 0))
    try record.write(in: directories.run)
    trainerRecord = record
  }

  func beginCensus() {
    censusPause = .milliseconds(250)
    arm(.census, at: Self.now.monotonic + censusPause)
  }

  func keepCensus() {
    guard var record = trainerRecord else { return }
    let others = tree.census(sparing: preemption?.session).filter { $0 != record.trainer }
    // Not into what takes the run directory's place.
    if Set(others) != Set(record.others), runDirectory.displacement == nil {
      record.others = others
      do {
        try record.write(in: directories.run)
        trainerRecord = record
        recover("census", "what the trainer starts can be written down again")
      } catch {
        degrade(
          "census",
          "what the trainer starts cannot be written down, for the time after a kill of this supervisor: \(error)"
        )
      }
    }
    censusPause = min(censusPause * 2, Self.longestCensusPause)
    arm(.census, at: Self.now.monotonic + censusPause)
  }

  /// All of it is gone.
  func endCensus() {
    trainerRecord = nil
    try? timers.disarm(.census)
    if runDirectory.displacement == nil { TrainerRecord.remove(in: directories.run) }
    recover("clearing", "all processes of attempt \(attempt.attempt) are gone")
  }

  /// The next attempt waits, however long that takes: whoever can help is told.
  func tellRemaining() {
    guard Self.now.monotonic - clearingSince > Self.clearingPatience else { return }
    let left = tree.remaining(sparing: preemption?.session)
    let which = left.isEmpty ? "and /proc does not show which" : Words.pids(left)
    degrade(
      "clearing",
      "processes of attempt \(attempt.attempt) cannot be ended (\(which)); the next one waits until they are gone"
    )
  }
}
