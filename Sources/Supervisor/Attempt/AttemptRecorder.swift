import Glibc
import JobStore
import POSIX
import Reporting
import Supervision
import TrainerProtocol
import Vocabulary

/// The record of the attempt that is under way, and how far the job has come: the one home of the newest step,
/// of the position and the metrics that belong to it, and of what is known against the run.
final class AttemptRecorder {
  private let writer: StoreWriter
  /// Number 0: there was none yet.
  private(set) var record = AttemptRecord(
    attempt: 0, generation: 0, boot: "", startedAtNs: 0, resumedFrom: nil)
  /// Where the loop stood after the attempt's newest step; nil: there was no step.
  private(set) var position: BatchPosition?
  /// Values of the newest step, in the order of `metricNames`.
  private(set) var metrics: [Double] = []
  private(set) var metricNames: [String]
  /// The furthest step that any attempt recorded.
  private(set) var furthestStep: UInt64?
  /// Where the run ceased to be the undisturbed one.
  private(set) var deviation: Deviation?
  /// Why the trainer could not be started, as in errno(3).
  private(set) var startErrno: Int32?
  private var rate = StepRate()
  private var verdictIsLogged = false
  private var reportedProblems: Set<String> = []
  private static let mostProblems = 16

  init(
    _ writer: StoreWriter, metricNames: [String], furthestStep: UInt64?, deviation: Deviation?
  ) {
    self.writer = writer
    self.metricNames = metricNames
    self.furthestStep = furthestStep
    self.deviation = deviation
  }

  // MARK: From the beginning to the end

  /// Another attempt begins. Its record is not submitted: the caller waits for that commit.
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

  /// Changes the record, and has it written to the store.
  func update(_ change: (inout AttemptRecord) -> Void) {
    change(&record)
    persist()
  }

  /// Has the record written to the store as it is.
  func persist() { writer.submit([.attempt(record)]) }

  /// Changes the record; what comes next has it written.
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

  // MARK: What the ring has

  func rename(metrics names: [String]) { metricNames = names }

  /// Counts what was drained from the ring, without its newest step.
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

  /// The newest step of what was drained.
  func advance(to newest: Drained.Newest, hasReplayed: Bool) {
    record.lastStep = newest.step
    record.lastStepAtNs = newest.timeNs
    // A supervisor that finds this attempt without an end can count what was made again by no other means.
    if hasReplayed { persist() }
    metrics = newest.metrics
    position = BatchPosition(epoch: newest.epoch, batch: newest.batch)
    furthestStep = max(furthestStep ?? 0, newest.step)
  }

  /// - Returns: whether it is news: each field is reported once, and no more than some.
  func add(_ problem: RecordProblem) -> Bool {
    guard record.recordProblems?.count ?? 0 < Self.mostProblems,
      reportedProblems.insert("\(problem.kind.name).\(problem.field ?? "")").inserted
    else { return false }
    update { $0.recordProblems = ($0.recordProblems ?? []) + [problem.description] }
    return true
  }

  // MARK: How fast

  func sampleRate(now: Duration) {
    if let step = record.lastStep { rate.sample(step: step, attempt: record.attempt, now: now) }
  }

  var stepsPerSecond: Double? { rate.stepsPerSecond }

  // MARK: What is said of it

  /// The verdict on the replay: once, as soon as it is over, or at once when it differs.
  func replayVerdict(atEnd: Bool) -> (message: Message, step: UInt64?)? {
    guard !verdictIsLogged, record.replayedSteps > 0 else { return nil }
    let verdict: (Message, UInt64?)
    if let step = record.differsAtStep {
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

  /// Why the attempt ended, for the error that ends a run.
  var failureReason: String? {
    if let failure = record.failure { return "\(failure.type): \(failure.message)" }
    if record.cause?.word == .oomKilled { return "out of memory" }
    if let signal = record.signal { return "ended by \(Words.signal(signal))" }
    if record.cause?.word == .incomplete { return "exit 0 without finish()" }
    return record.exitStatus.map { "exit \($0)" }
  }
}
