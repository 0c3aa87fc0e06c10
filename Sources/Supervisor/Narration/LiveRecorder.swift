import Glibc
import JobStore
import POSIX
import Supervision
import SystemPackage
import Vocabulary

/// Writes the state of the supervisor to the store, for `status` and other readers.
final class LiveRecorder {
  private let writer: StoreWriter
  private let core: Core
  private let processes: TrainerProcesses
  private let degradations: Degradations
  private let runDirectory: RunDirectory
  private let boot: String
  /// Of this process.
  private let startTime = ProcessTable.startTime(of: getpid()) ?? 0
  /// The newest image in the arena.
  var staged: LiveRecord.Staged?
  /// What the trainer is waiting for, as text.
  var doing: () -> String? = { nil }

  init(
    _ writer: StoreWriter, _ core: Core, _ processes: TrainerProcesses, _ degradations: Degradations,
    _ runDirectory: RunDirectory, boot: String
  ) {
    self.writer = writer
    self.core = core
    self.processes = processes
    self.degradations = degradations
    self.runDirectory = runDirectory
    self.boot = boot
  }

  func write() { writer.submit([.live(record(SupervisorState(core.state.phase)))]) }

  func record(_ supervisorState: SupervisorState) -> LiveRecord {
    let state = core.state
    return LiveRecord(
      pid: getpid(), startTime: startTime, boot: boot, runDirectory: runDirectory.path.string,
      state: Stored(supervisorState), trainerPid: processes.child?.pid, attempt: state.standing.attempt,
      graceSeconds: state.policy.grace / .seconds(1), stalls: state.standing.stalls,
      maxStalls: state.policy.maxStalls, staged: staged, degraded: degradations.texts,
      stall: degradations.reasons[LiveRecord.Degradation.stall], doing: doing(),
      updatedAtNs: Clock.wallNanoseconds)
  }
}
