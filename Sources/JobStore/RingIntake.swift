import POSIX
import TrainerProtocol

/// The attached ring, and the state derived from the records read so far.
final class RingIntake {
  private(set) var ring: RingReader?
  private(set) var attempt: UInt64 = 0
  /// Highest step read or recorded.
  private(set) var lastStep: UInt64?
  private(set) var namesByAttempt: MetricNames
  private(set) var heartbeat: UInt64 = 0
  /// Of this attempt.
  private var stepDurations = StepDurations()
  /// Sequence of the newest request with a reported answer.
  private var acknowledged: UInt64 = 0
  /// Pause before the next check for an answer of the trainer, up to the usual one; nil if none is expected.
  private var answerPause: Duration?

  init(_ store: JobStore) {
    namesByAttempt = (try? store.metricNamesByAttempt()) ?? MetricNames()
    lastStep = (try? store.newestSnapshots(1))?.last?.step
  }

  func attach(_ ring: RingReader, attempt: UInt64) {
    self.ring = ring
    self.attempt = attempt
    heartbeat = 0
    acknowledged = 0
    stepDurations = StepDurations()
  }

  func release() { ring = nil }

  // MARK: Reading

  func newDrain() -> RingDrain {
    // Read before the records, as an answer's record is written before the header changes.
    RingDrain(
      attempt: attempt, rank: 0, lastStep: lastStep, stepDurations: stepDurations,
      namesByAttempt: namesByAttempt, acknowledged: ring?.acknowledged)
  }

  /// Accepts what `drain` read.
  func advance(past drain: RingDrain) {
    lastStep = drain.lastStep
    namesByAttempt = drain.namesByAttempt
  }

  /// - Returns: the report of `drain`; nil if nothing is new.
  func report(_ drain: inout RingDrain) -> Drained? {
    guard let ring else { return nil }
    let drained = drain.finish(ring)
    stepDurations = drained.stepDurations
    let isAnswered = drained.acknowledged.map { $0.sequence != acknowledged } ?? false
    acknowledged = drained.acknowledged?.sequence ?? acknowledged
    let isNews =
      drained.snapshots > 0 || !drained.controls.isEmpty || !drained.problems.isEmpty
      || drained.heartbeat != heartbeat || isAnswered
    heartbeat = drained.heartbeat
    for case .staged in drained.controls { answerPause = nil }
    if isAnswered { answerPause = nil }
    return isNews ? drained : nil
  }

  // MARK: Answers

  func expectAnswer() { answerPause = .milliseconds(2) }

  /// Time until the ring is checked again.
  /// - Parameter usual: pause if no answer is expected.
  func nextPause(usual: Duration) -> Duration {
    guard ring != nil, let answerPause else { return usual }
    // A fast loop answers at once; a slow one must not be polled at a high rate.
    self.answerPause = min(usual, answerPause * 2)
    return min(usual, answerPause)
  }
}
