public import Vocabulary

/// Something to report to the user. The runtime words it.
public enum Note: Hashable, Sendable {
  case attemptEnded(ExitStatus, Cause, progressed: Bool)
  case hung(after: Duration)
  case backingOff(Duration, stalls: Int)
  case diesInBatch(BatchPosition, step: UInt64, times: Int)
  case skipping(BatchPosition, deaths: Int)
  /// Many attempts in a row failed with the same exception at the same line, and none made a new step.
  case repeatsFailure(Standing.FailureTally)
  case gaveUp(ResumePoint, Standing)
  /// - isByNotice: caused by a preemption notice, not a signal.
  case stopping(grace: Duration, isByNotice: Bool)
  case hurrying
  case saveTimedOut
  case saveAnswered(step: UInt64)
  case stageFailed(errno: Int32)
  case stageRecovered
  /// The trainer has not answered a request for this long; the request is repeated.
  case saveUnanswered(after: Duration)
  /// An attempt died while it loaded its resume point, for the `times`-th time in a row.
  case diedRestoring(ResumePoint, times: Int)
  /// The trainer finished, and its final state could not be staged.
  case finalStateLost(step: UInt64)
  case checkpointUnavailable
  /// Checkpoints of exact steps cannot be written as often as the policy asks for.
  case checkpointsSkipped(every: UInt64)
  case startFailed(StartFailure)
  case preemptionNoticed(PreemptionNotice, lead: Duration)
  case preemptionWarned(source: String, text: String)
  case preemptionCancelled(source: String)
  /// A save would take longer than the time left, so the newest staged checkpoint is kept instead.
  case saveTooLong(takes: Duration, newest: UInt64)
  /// A preempted job ended with `step` durable, `spare` before the deadline.
  case preemptionSurvived(step: UInt64, spare: Duration)
}
