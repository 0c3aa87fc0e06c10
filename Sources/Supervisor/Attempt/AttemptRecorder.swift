import Glibc
import JobStore
import POSIX
import Reporting
import Supervision
import TrainerProtocol
import Vocabulary

/// The record of the current attempt and the progress of the job: the newest step with its position and metrics, and
/// the deviation of the run.
final class AttemptRecorder {
  private let writer: StoreWriter
  /// Number 0: there was no attempt yet.
  private(set) var record = AttemptRecord(
    attempt: 0, generation: 0, boot: "", startedAtNs: 0, resumedFrom: nil)
  /// Position of the loop after the attempt's newest step; nil: there was no step.
  private(set) var position: BatchPosition?
  /// Values of the newest step, in the order of `metricNames`.
  private(set) var metrics: [Double] = []
  private(set) var metricNames: [String]
  /// The furthest step that any attempt recorded.
  private(set) var furthestStep: UInt64?
  /// Where the run first differed from an undisturbed one.
  private(set) var deviation: Deviation?
  /// Earlier states of the run had other hyperparameters than this attempt has; nil: none had.
  private let changedAt: UInt64?
  /// Why the trainer could not be started, as in errno(3).
  private(set) var startErrno: Int32?
  private var rate = StepRate()
  private var verdictIsLogged = false
  private var reportedProblems: Set<String> = []
  private static let mostProblems = 16

  init(
    _ writer: StoreWriter, metricNames: [String], furthestStep: UInt64?, changedAt: UInt64?,
    deviation: Deviation?
  ) {
    self.writer = writer
    self.metricNames = metricNames
    self.furthestStep = furthestStep
    self.deviation = deviation
    self.changedAt = changedAt
  }

  // MARK: From the beginning to the end

  /// Begins another attempt. Its record is not submitted here: the caller does so and waits for the commit.
  func begin(
    _ number: UInt64, boot: String, resumedFrom: AttemptRecord.Resume?, notice: AttemptRecord.Notice?
  ) {
    record = AttemptRecord(
      attempt: number, generation: number, boot: boot, startedAtNs: Clock.wallNanoseconds,
      resumedFrom: resumedFrom)
    record.notice = notice
    position = nil
    verdictIsLogged = false
    reportedProblems = []
  }

  /// Changes the record and submits it to the store.
  func update(_ change: (inout AttemptRecord) -> Void) {
    change(&record)
    persist()
  }

  /// Submits the record to the store.
  func persist() { writer.submit([.attempt(record)]) }

  /// Changes the record without submitting it: a following update does.
  func note(_ change: (inout AttemptRecord) -> Void) { change(&record) }

  func end(_ cause: Cause) {
    update {
      $0.running = false
      $0.endedAtNs = Clock.wallNanoseconds
      $0.cause = Stored(cause)
      $0.outcome = Stored(cause.outcome)
    }
  }

  func startFailed(_ why: String, errno: Int32) {
    startErrno = errno
    update {
      $0.running = false
      $0.endedAtNs = Clock.wallNanoseconds
      $0.outcome = Stored(.failed)
      $0.cause = Stored(.startFailed)
      $0.failure = Failure(type: "start failed", message: why)
    }
  }

  // MARK: Content of the ring

  func rename(metrics names: [String]) { metricNames = names }

  /// Adds what was drained from the ring, except its newest step.
  func add(_ drained: Drained) {
    record.steps += drained.snapshots
    record.replayedSteps += drained.audit.replayed
    if record.firstStep == nil, let first = drained.firstStep {
      update {
        $0.firstStep = first
        $0.firstStepAtNs = drained.firstStepAtNs
      }
    }
    if let difference = drained.audit.firstDifference, record.differsAtStep == nil {
      record.differsAtStep = difference.step
      record.differsIn = difference.part
      record.differences = difference.items
      deviation = deviation ?? Deviation(attempt: record.attempt, difference: difference)
    }
  }

  /// Sets the newest step to that of the drained records.
  func advance(to newest: Drained.Newest, hasReplayed: Bool) {
    record.lastStep = newest.step
    record.lastStepAtNs = newest.timeNs
    // A later supervisor that finds this attempt without an end cannot count replayed steps in any other way.
    if hasReplayed { persist() }
    metrics = newest.metrics
    position = BatchPosition(epoch: newest.epoch, batch: newest.batch)
    furthestStep = max(furthestStep ?? 0, newest.step)
  }

  /// - Returns: whether to report it: each field is reported once, up to a limit.
  func add(_ problem: RecordProblem) -> Bool {
    guard record.recordProblems?.count ?? 0 < Self.mostProblems,
      reportedProblems.insert("\(problem.kind.name).\(problem.field ?? "")").inserted
    else { return false }
    update { $0.recordProblems = ($0.recordProblems ?? []) + [problem.description] }
    return true
  }

  // MARK: Rate

  func sampleRate(now: Duration) {
    if let step = record.lastStep { rate.sample(step: step, attempt: record.attempt, now: now) }
  }

  var stepsPerSecond: Double? { rate.stepsPerSecond }

  // MARK: Reports

  /// The verdict on the replay, returned once: when the replay is over, or as soon as it differs.
  func replayVerdict(atEnd: Bool) -> (message: Message, step: UInt64?)? {
    guard !verdictIsLogged, record.replayedSteps > 0 else { return nil }
    let verdict: (Message, UInt64?)
    if let step = record.differsAtStep, let changedAt, record.resumedFrom?.step ?? 0 <= changedAt {
      let text =
        "attempt \(record.attempt) made steps again with other hyperparameters (--set), and with another result from "
        + "step \(Words.number(step)) on"
      verdict = (Message(kind: .replayDiffers, text: text), step)
    } else if let step = record.differsAtStep {
      let difference = ReplayAudit.Difference(step: step, items: record.differences ?? [])
      let text =
        "attempt \(record.attempt) does not reproduce the run it resumed: step \(Words.number(step)) differs in its "
        + "\(difference.part) (\(difference.words)); likely cause: \(difference.likelyCause)"
      verdict = (Message(kind: .replayDiffers, text: text, isWarning: true), step)
    } else if atEnd || record.steps > record.replayedSteps {
      let replayed = Words.count(record.replayedSteps, "step")
      verdict = (
        Message(kind: .replayIdentical, text: "attempt \(record.attempt) replayed \(replayed), identical"),
        nil
      )
    } else {
      return nil
    }
    verdictIsLogged = true
    return verdict
  }

  /// Why the attempt ended, for the error message of the run.
  var failureReason: String? {
    if let failure = record.failure { return "\(failure.type): \(failure.message)" }
    if record.cause?.word == .oomKilled { return "out of memory" }
    if let signal = record.signal { return "ended by \(Words.signal(signal))" }
    if record.cause?.word == .incomplete { return "exit 0 without finish()" }
    return record.exitStatus.map { "exit \($0)" }
  }
}
