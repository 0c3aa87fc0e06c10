import Glibc
import JobStore
import POSIX
import Reporting
import Supervision
import SystemPackage
import TrainerProtocol
import Vocabulary

// What the core has to say, in words; and what the store says of the supervisor itself.
extension Runtime {
  func log(_ note: Note) {
    switch note {
    case .attemptEnded(_, let cause, _): attempt.end(cause)
    case .hung(let after): stacks.hung(after: after)
    case .stopping(let grace, let isByNotice): recordLeaving(grace, isByNotice: isByNotice)
    default: break
    }
    // The core may have gone on to the next attempt already: notes are about the one on record.
    let record = attempt.record
    var message = note.message(
      attempt: record.attempt, step: record.lastStep, policy: state.policy,
      runDirectory: directories.run.string)
    if case .attemptEnded(_, let cause, _) = note { message.text += Self.further(record, cause) }
    events.log(message.kind, message.text, isWarning: message.isWarning)
    switch note {
    case .stageFailed: degradations.set("staging", message.text)
    case .stageRecovered: degradations.set("staging", nil)
    default: break
    }
  }

  /// What else is known of an attempt's end.
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
    // The verdict outlives this supervisor.
    attempt.persist()
  }

  /// - Parameter repair: nil when there is nothing to keep: another program wrote a store over it.
  func logRepair(_ repair: StoreRepair?, whileOpen: Bool) {
    guard let repair else {
      return events.log(
        .storeRepaired, "another program wrote over the store; what is known was written to it again",
        isWarning: true)
    }
    let aside = repair.aside.map { ", the damaged file is \($0)" } ?? ""
    let what = whileOpen ? "the store was damaged or replaced while it was open" : "the store was damaged"
    events.log(
      .storeRepaired,
      "\(what): a new one has the \(Words.count(UInt64(repair.records), "record")) that could be read\(aside)",
      isWarning: true)
  }

  // MARK: The store

  /// Submits again what was said to be durable and may be in the store no more.
  func submitEverything() {
    var operations: [StoreOperation] = [
      .job(job), .document("standing", state.standing), .document("metric_names", attempt.metricNames),
    ]
    if attempt.record.attempt > 0 { operations.append(.attempt(attempt.record)) }
    operations += catalogue.records.map { .checkpoint($0) }
    // What was said of the run once is not taken back by a damaged disk.
    if let deviation = attempt.deviation { operations.append(.deviation(deviation)) }
    writer.submit(operations)
    writeLive()
  }

  func writeLive() { writer.submit([.live(live(SupervisorState(state.phase)))]) }

  func live(_ supervisorState: SupervisorState) -> LiveRecord {
    LiveRecord(
      pid: getpid(), startTime: startTime, boot: boot,
      runDirectory: directories.run.string, state: Stored(supervisorState), trainerPid: processes.child?.pid,
      attempt: state.standing.attempt, graceSeconds: state.policy.grace / .seconds(1),
      stalls: state.standing.stalls, maxStalls: state.policy.maxStalls, staged: staged,
      degraded: degradations.texts, doing: doing, updatedAtNs: Clock.wallNanoseconds)
  }
}
