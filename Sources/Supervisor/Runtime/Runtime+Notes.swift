import Glibc
import JobStore
import POSIX
import Supervision
import SystemPackage
import TrainerProtocol

// What the user is told: a line on stderr, an event in the store, the live record.
extension Runtime {
  func tell(_ kind: EventKind, _ text: String, isWarning: Bool = false, step: UInt64? = nil) {
    var entry = Console.Entry(
      text: text, isWarning: isWarning, kind: kind, attempt: attempt.attempt, step: step ?? attempt.lastStep)
    if kind == .attemptEnded { entry.describe(attempt) }
    Console.write(entry)
    writer.submit([
      .event(
        EventRecord(
          timeNs: Clock.wallNanoseconds, kind: kind.rawValue, attempt: attempt.attempt,
          step: step ?? attempt.lastStep, isWarning: isWarning, message: text))
    ])
  }

  func tell(_ note: Note) {
    if case .attemptEnded(_, let cause, _) = note { endAttempt(cause) }
    if case .hung(let after) = note { hang = Hang(after: after) }
    if case .stopping(let grace, let isByNotice) = note { keepLeaving(grace, isByNotice: isByNotice) }
    // The core may have gone on to the next attempt already: notes are about the one on record.
    var message = note.message(attempt: attempt.attempt, step: attempt.lastStep, policy: state.policy)
    if case .attemptEnded(_, .oomKilled, _) = note, let bytes = attempt.peakResidentBytes {
      message.text += ", peak \(Words.bytes(bytes))"
    }
    if case .attemptEnded(_, let cause, _) = note, attempt.isAfterwards(cause) {
      message.text += ", after its training was complete"
    }
    if case .attemptEnded = note, let failure = attempt.failure {
      message.text += ": \(failure.type): \(failure.message)"
    }
    switch note {
    case .stageFailed: degraded["staging"] = message.text
    case .stageRecovered: degraded["staging"] = nil
    default: break
    }
    tell(message.kind, message.text, isWarning: message.isWarning)
    if message.kind == .stageFailed || message.kind == .stageRecovered { keepDegraded() }
  }

  private func endAttempt(_ cause: Cause) {
    attempt.running = false
    attempt.endedAtNs = Clock.wallNanoseconds
    attempt.cause = cause.rawValue
    attempt.outcome = cause == .finished ? "finished" : cause.isStop ? "stopped" : "failed"
    writer.submit([.attempt(attempt)])
  }

  func tellStart(_ from: ResumePoint) {
    let number = state.standing.attempt
    let place: String =
      switch from {
      case .beginning: "started from the beginning"
      case .checkpoint: "resumed from \(Words.point(from))"
      }
    let window = lastRecordedStep.map { $0 > from.step ? $0 - from.step : 0 } ?? 0
    let replay = window == 0 ? "" : ", \(Words.count(window, "step")) to replay"
    tell(.attemptStarted, "attempt \(number) \(place)\(replay)", step: from.step)
    for batch in state.standing.skips {
      tell(.skipBatch, "attempt \(number) leaves out \(Note.words(batch))")
    }
  }

  /// The verdict on the replay: as soon as it is over, or at once when it differs.
  func tellReplay(atEnd: Bool) {
    guard !replayIsTold, attempt.replayedSteps > 0 else { return }
    let replayed = Words.count(attempt.replayedSteps, "step")
    if let step = attempt.differsAtStep {
      replayIsTold = true
      let difference = ReplayAudit.Difference(step: step, items: attempt.differences ?? [])
      tell(
        .replayDiffers,
        "attempt \(attempt.attempt) is not the run it resumed: step \(Words.number(step)) differs in its "
          + "\(difference.part) (\(difference.words)); likely cause: \(difference.likelyCause)",
        isWarning: true, step: step)
    } else if atEnd || attempt.steps > attempt.replayedSteps {
      replayIsTold = true
      tell(.replayIdentical, "attempt \(attempt.attempt) replayed \(replayed), identical")
    } else {
      return
    }
    // The verdict outlives this supervisor.
    writer.submit([.attempt(attempt)])
  }

  // MARK: Degraded

  /// Told once, when it begins; what `status` shows follows the newest reason.
  func degrade(_ kind: String, _ text: String, step: UInt64? = nil) {
    let isNew = degraded[kind] == nil
    guard degraded.updateValue(text, forKey: kind) != text else { return }
    if isNew { tell(.degraded, text, isWarning: true, step: step) }
    keepDegraded()
  }

  func recover(_ kind: String, _ text: String) {
    guard degraded.removeValue(forKey: kind) != nil else { return }
    tell(.recovered, text)
    keepDegraded()
  }

  /// In memory as well: a store that cannot be written cannot say so itself.
  func keepDegraded() {
    keepLive()
    // Not into what takes its place.
    guard runDirectory.displacement == nil else { return }
    do {
      try LiveRecord.keepDegraded(degraded, in: directories.run)
    } catch {
      Console.warning("cannot write to the run directory: \(error)")
    }
  }

  private var degradedTexts: [String] { degraded.sorted { $0.key < $1.key }.map(\.value) }

  // MARK: The store

  /// - Parameter repair: nil when there is nothing to keep: another program wrote a store over it.
  func tellRepair(_ repair: StoreRepair?, whileOpen: Bool) {
    guard let repair else {
      return tell(
        .storeRepaired, "another program wrote over the store; what is known was written to it again",
        isWarning: true)
    }
    let aside = repair.aside.map { ", the damaged file is \($0)" } ?? ""
    let what = whileOpen ? "the store was damaged or replaced while it was open" : "the store was damaged"
    tell(
      .storeRepaired,
      "\(what): a new one has the \(Words.count(UInt64(repair.records), "record")) that could be read\(aside)",
      isWarning: true)
  }

  /// Submits again what was said to be durable and may be in the store no more.
  func putBack() {
    var operations: [StoreOperation] = [
      .job(job), .document("standing", state.standing), .document("metric_names", metricNames),
    ]
    if attempt.attempt > 0 { operations.append(.attempt(attempt)) }
    operations += records.map { .checkpoint($0) }
    // What was said of the run once is not taken back by a damaged disk.
    if let deviation { operations.append(.deviation(deviation)) }
    writer.submit(operations)
    keepLive()
  }

  // MARK: Live

  func keepLive() { writer.submit([.live(live(stateName: state.phase.rawValue))]) }

  func live(stateName: String) -> LiveRecord {
    LiveRecord(
      pid: getpid(), startTime: startTime, boot: boot,
      runDirectory: directories.run.string, state: stateName, trainerPid: child?.pid,
      attempt: state.standing.attempt, graceSeconds: state.policy.grace / .seconds(1),
      stalls: state.standing.stalls, maxStalls: state.policy.maxStalls, staged: staged,
      degraded: degradedTexts, doing: doing, updatedAtNs: Clock.wallNanoseconds)
  }
}

extension Console.Entry {
  /// How an attempt ended is one entry, with all that is known of it.
  fileprivate mutating func describe(_ attempt: AttemptRecord) {
    if let cause = attempt.cause { fields.append(("HOLDFAST_CAUSE", cause)) }
    if let signal = attempt.signal { fields.append(("HOLDFAST_SIGNAL", Words.signal(signal))) }
    if let status = attempt.exitStatus { fields.append(("HOLDFAST_EXIT_STATUS", "\(status)")) }
    if let kills = attempt.oomKills { fields.append(("HOLDFAST_OOM_KILLS", "\(kills)")) }
    if let traceback = attempt.failure?.traceback {
      fields.append(("HOLDFAST_TRACEBACK", traceback))
      furtherLines = traceback
    }
  }
}

extension AttemptRecord {
  /// Whether it failed after its last step.
  fileprivate func isAfterwards(_ cause: Cause) -> Bool { finishedStep != nil && cause != .finished }
}

extension Runtime {
  /// Why the last attempt ended, for the error that ends a run.
  var lastWords: String? {
    if let failure = attempt.failure { return "\(failure.type): \(failure.message)" }
    if attempt.cause == Cause.oomKilled.rawValue { return "out of memory" }
    if let signal = attempt.signal { return "ended by \(Words.signal(signal))" }
    if attempt.cause == Cause.incomplete.rawValue { return "exit 0 without finish()" }
    return attempt.exitStatus.map { "exit \($0)" }
  }
}
