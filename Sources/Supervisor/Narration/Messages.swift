import Glibc
import Reporting
public import Supervision
import Vocabulary

/// The text of a note of the core: one line, and the kind of its event.
struct Message {
  var kind: EventKind
  var text: String
  var isWarning = false
}

extension Note {
  /// - Parameters:
  ///   - attempt: number of the attempt.
  ///   - step: the newest step that this attempt recorded.
  func message(attempt: UInt64, step: UInt64?, policy: Policy, runDirectory: String) -> Message {
    switch self {
    case .attemptEnded(let exit, let cause, let progressed):
      let ending = Self.words(exit, cause)
      let isFruitless = !progressed && cause != .finished && !cause.isStop
      let place = step.map { " at step \(Words.number($0))" } ?? ""
      // The supervisor itself got no signal, so no other line explains why it exits.
      let further =
        isFruitless ? ", without progress" : cause == .keyboardInterrupt ? "; the next start resumes" : ""
      return Message(kind: .attemptEnded, text: "attempt \(attempt) \(ending)\(place)\(further)")
    case .hung(let after):
      return Message(
        kind: .hang, text: "attempt \(attempt) hangs: no step for \(Words.duration(after)); killing it",
        isWarning: true)
    case .backingOff(let pause, let stalls):
      return Message(
        kind: .backoff,
        text: "\(stalls) attempts in a row made no progress (gives up after \(policy.maxStalls)); "
          + "next attempt in \(Words.duration(pause))")
    case .diesInBatch(let batch, let step, let times):
      return Message(
        kind: .diesInBatch,
        text: "\(times) attempts in a row died in \(Self.words(batch)) (step \(Words.number(step)))",
        isWarning: true)
    case .skipping(let batch, let deaths):
      return Message(
        kind: .skipBatch,
        text: "skipping \(Self.words(batch)) from now on, after \(deaths) deaths",
        isWarning: true)
    case .repeatsFailure(let tally):
      return Message(
        kind: .repeatsFailure,
        text: "\(Self.words(tally)), and none made a step past \(Words.number(tally.furthest))",
        isWarning: true)
    case .gaveUp(let point, let standing):
      return Message(kind: .gaveUp, text: "giving up: \(Self.gaveUp(point, standing))", isWarning: true)
    case .stopping(let grace, let isByNotice):
      return Message(
        kind: isByNotice ? .preemptionLeaving : .stopRequested,
        text:
          "\(isByNotice ? "preemption: " : "")stopping within \(Words.duration(grace))"
          + (policy.isDurable
            ? "" : "; checkpoints are off: the state stays in memory, and a power loss would cost it"))
    case .hurrying:
      return Message(kind: .hurry, text: "second stop request: killing the trainer; what is staged is kept")
    case .saveTimedOut:
      return Message(
        kind: .saveTimedOut,
        text: "the trainer did not reach a step in time to save; keeping the newest staged checkpoint",
        isWarning: true)
    case .saveAnswered(let step):
      return Message(kind: .saved, text: "saved step \(Words.number(step))")
    case .stageFailed(let errno):
      return Message(
        kind: .stageFailed,
        text:
          "cannot stage a checkpoint in \(runDirectory): \(String(cString: strerror(errno))); retrying",
        isWarning: true)
    case .stageRecovered:
      return Message(kind: .stageRecovered, text: "staging works again")
    case .saveUnanswered(let after):
      return Message(
        kind: .saveUnanswered,
        text: "the trainer has not answered a save request for \(Words.duration(after)); repeating it",
        isWarning: true)
    case .diedRestoring(let point, let times):
      let consequence =
        times < ResumeChoice.deathLimit
        ? "" : "; from now on another resume point is used, if there is one"
      return Message(
        kind: .restoreDied,
        text: "attempt \(attempt) died while loading \(point.words)"
          + (times > 1 ? ", like the \(times == 2 ? "attempt" : "\(times - 1) attempts") before it" : "")
          + consequence,
        isWarning: true)
    case .finalStateLost(let step):
      return Message(
        kind: .finalStateLost,
        text: "the final state (step \(Words.number(step))) is not in a checkpoint: it could not be staged",
        isWarning: true)
    case .checkpointsSkipped(let every):
      return Message(
        kind: .checkpointsSkipped,
        text:
          "a checkpoint every \(Words.count(every, "step")) is more often than they can be written; some are "
          + "skipped: increase --every-steps",
        isWarning: true)
    case .checkpointUnavailable:
      return Message(
        kind: .checkpointUnavailable,
        text: "cannot take a checkpoint now: the trainer is not running, or made no step since the last one",
        isWarning: true)
    case .startFailed(let failure):
      return Message(
        kind: .startFailed, text: "cannot start the trainer: \(Self.words(failure))", isWarning: true)
    case .preemptionNoticed(let notice, let lead):
      return Message(
        kind: .preemptionNotice,
        text: "preemption notice from \(notice.source) (\(notice.action)): \(Words.duration(lead)) left; "
          + "saving now, training continues while there is time", isWarning: true)
    case .preemptionWarned(let source, let text):
      return Message(
        kind: .preemptionWarning, text: "\(source) warns: \(text); saving now, training continues",
        isWarning: true)
    case .preemptionCancelled(let source):
      return Message(
        kind: .preemptionCancelled, text: "\(source) cancelled its preemption notice; training continues")
    case .saveTooLong(let takes, let newest):
      return Message(
        kind: .saveTooLong,
        text: "a save takes \(Words.duration(takes)), longer than the time left; keeping the newest staged "
          + "checkpoint, step \(Words.number(newest))", isWarning: true)
    case .preemptionSurvived(let step, let spare):
      let time =
        spare < .zero
        ? "\(Words.duration(.zero - spare)) after the deadline"
        : "\(Words.duration(spare)) before the deadline"
      return Message(kind: .preempted, text: "preempted with step \(Words.number(step)) durable, \(time)")
    }
  }

  /// Why the supervisor gives up.
  public static func gaveUp(_ point: ResumePoint, _ standing: Standing) -> String {
    if let completed = standing.completedStep {
      return
        "the training is complete at step \(Words.number(completed)), but the program failed after that in "
        + "\(standing.stalls) attempts in a row"
    }
    if let tally = standing.failureTally, tally.count >= Standing.FailureTally.longest {
      return "\(words(tally)), and none made a step past \(Words.number(tally.furthest))"
    }
    let place =
      standing.deathTally.map { $0.count > 1 ? ", the last \($0.count) in \(words($0.batch))" : "" } ?? ""
    return "\(standing.stalls) attempts in a row made no progress past \(point.place)\(place)"
  }

  /// `10 attempts in a row failed with the same ValueError at train.py:42`
  public static func words(_ tally: Standing.FailureTally) -> String {
    "\(tally.count) attempts in a row failed with the same \(tally.place.type) at \(tally.place.place)"
  }

  static func words(_ exit: ExitStatus, _ cause: Cause) -> String {
    switch (cause, exit) {
    case (.finished, _): "finished"
    case (.stopped, _): "stopped"
    case (.preempted, _): "was stopped for preemption"
    case (.keyboardInterrupt, _): "was stopped by a keyboard interrupt"
    case (.hang, _): "hung and was killed"
    case (.oomKilled, _): "was killed by the kernel: out of memory"
    case (.incomplete, _): "exited with status 0 without finish()"
    case (_, .exited(let status)): "crashed: exit \(status)"
    case (_, .signaled(let signal)): "was ended by \(Words.signal(signal))"
    }
  }

  static func words(_ batch: BatchPosition) -> String {
    "batch \(Words.number(batch.batch)) of epoch \(Words.number(batch.epoch))"
  }

  static func words(_ failure: StartFailure) -> String {
    switch failure {
    case .notFound: "no such file"
    case .notExecutable: "it is not executable"
    case .noRoom: "no space left in the run directory"
    case .other(let errno): String(cString: strerror(errno))
    }
  }
}
