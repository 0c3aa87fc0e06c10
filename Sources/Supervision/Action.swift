public import Vocabulary

/// How the supervisor ends, with its exit codes.
public enum Ending: Hashable, Sendable {
  case finished
  case stopped
  case gaveUp
  case commandNotFound
  case commandNotExecutable
  case cannotStart
  /// The job finished but its final state could not be made durable.
  case finalStateNotDurable
  /// The kernel refused what the supervisor cannot do without.
  case internalError
}

public enum RequestKind: Hashable, Sendable { case save, saveAndLeave, cancel }
public enum TrainerSignal: Hashable, Sendable {
  /// The one at which the trainer writes its stacks, as it offered.
  case stacks
  case terminate, kill
}

/// Something worth telling the user; the runtime has the words.
public enum Note: Hashable, Sendable {
  case attemptEnded(ExitStatus, Cause, progressed: Bool)
  case hung(after: Duration)
  case backingOff(Duration, stalls: Int)
  case diesInBatch(BatchPosition, step: UInt64, times: Int)
  case skipping(BatchPosition, deaths: Int)
  /// Many attempts in a row failed with the same exception at the same line, and none made a new step.
  case repeatsFailure(Standing.FailureTally)
  case gaveUp(step: UInt64, Standing)
  /// - isByNotice: no signal asked for it, but a preemption notice.
  case stopping(grace: Duration, isByNotice: Bool)
  case hurrying
  case saveTimedOut
  case saveAnswered(step: UInt64)
  case stageFailed(errno: Int32)
  case stageRecovered
  /// The trainer has not answered a request for this long; it is asked again.
  case saveUnanswered(after: Duration)
  /// An attempt died while it took its resume point, once more.
  case diedRestoring(ResumePoint, times: Int)
  /// The trainer finished, and its final state could not be staged.
  case finalStateLost(step: UInt64)
  case checkpointUnavailable
  case startFailed(StartFailure)
  case preemptionNoticed(PreemptionNotice, lead: Duration)
  case preemptionWarned(source: String, text: String)
  case preemptionCancelled(source: String)
  /// A save would take longer than there is time; the newest staged checkpoint is what is kept.
  case saveTooLong(takes: Duration, newest: UInt64)
  /// What a preempted job left behind, and how much time it had to spare.
  case preemptionSurvived(step: UInt64, spare: Duration)
}

/// Everything that the core asks of the runtime. Actions are carried out in order.
public enum Action: Hashable, Sendable {
  /// Record the attempt durably, write ring and `resume.json`, spawn.
  case start(attempt: UInt64, from: ResumePoint, skips: [BatchPosition])
  case request(RequestKind, sequence: UInt64, slot: Int, deadline: Duration?)
  /// The slot that `finish()` may fill unasked.
  case offer(slot: Int?)
  case publish(slot: Int, step: UInt64)
  /// Let the running publication stop at its next chunk.
  case cancelPublishing
  case signal(TrainerSignal)
  /// Kill what is left of the tree, drain the ring, answer with `cleared`.
  case clear
  case arm(TimerKind, at: Duration)
  case disarm(TimerKind)
  case note(Note)
  /// Write `standing` to the store.
  case keepStanding
  /// Tell the source of the notice that it need not wait any longer.
  case acknowledge(PreemptionNotice)
  case leave(Ending)
}
