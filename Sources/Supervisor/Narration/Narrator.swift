import Glibc
import JobStore
import POSIX
import Preemption
import Reporting
import Supervision
import SystemPackage
import TrainerProtocol
import Vocabulary

/// Logs the notes of the core and records them with the attempt.
final class Narrator {
  private let core: Core
  private let attempt: AttemptRecorder
  private let stacks: HangStacks
  private let events: EventLog
  private let degradations: Degradations
  private let runDirectory: RunDirectory
  /// The signal that requested the stop.
  var stopSignal = SIGTERM

  init(
    _ core: Core, _ attempt: AttemptRecorder, _ stacks: HangStacks, _ events: EventLog,
    _ degradations: Degradations, _ runDirectory: RunDirectory
  ) {
    self.core = core
    self.attempt = attempt
    self.stacks = stacks
    self.events = events
    self.degradations = degradations
    self.runDirectory = runDirectory
  }

  func log(_ note: Note) {
    switch note {
    case .attemptEnded(_, let cause, _): attempt.end(cause)
    case .hung(let after): stacks.hung(after: after)
    case .stopping(let grace, let isByNotice): recordLeaving(grace, isByNotice: isByNotice)
    default: break
    }
    // The core's state may already be that of the next attempt: notes are about the recorded one.
    let record = attempt.record
    var message = note.message(
      attempt: record.attempt, step: record.lastStep, policy: core.state.policy,
      runDirectory: runDirectory.path.string)
    if case .attemptEnded(_, let cause, _) = note { message.text += Self.further(record, cause) }
    events.log(message.kind, message.text, isWarning: message.isWarning)
    switch note {
    case .stageFailed: degradations.set("staging", message.text)
    case .stageRecovered: degradations.set("staging", nil)
    default: break
    }
  }

  /// Further details of an attempt's end.
  private static func further(_ record: AttemptRecord, _ cause: Cause) -> String {
    var text = ""
    if cause == .oomKilled, let bytes = record.peakResidentBytes { text += ", peak \(Words.bytes(bytes))" }
    if record.finishedStep != nil, cause != .finished { text += ", after its loop was complete" }
    if let failure = record.failure { text += ": \(failure.type): \(failure.message)" }
    return text
  }

  func logReplay(atEnd: Bool) {
    guard let (message, step) = attempt.replayVerdict(atEnd: atEnd) else { return }
    events.log(message.kind, message.text, isWarning: message.isWarning, step: step)
    // The verdict must survive a restart of the supervisor.
    attempt.persist()
  }

  // MARK: Stops

  /// Records how the attempt was stopped: what requested it, and the grace time.
  private func recordLeaving(_ grace: Duration, isByNotice: Bool) {
    let by = isByNotice ? "\(core.state.preemption?.notice.source ?? "a") notice" : Words.signal(stopSignal)
    attempt.update { $0.leaving = .init(by: by, graceSeconds: grace / .seconds(1)) }
  }

  func recordSaved() {
    guard let stop = core.state.stop, attempt.record.leaving != nil else { return }
    let saved = (Moment.now.monotonic - stop.requestedAt) / .seconds(1)
    attempt.update { $0.leaving?.savedSeconds = saved }
  }
}
