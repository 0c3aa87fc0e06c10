import Vocabulary

/// How a process ended.
public enum ExitStatus: Hashable, Sendable {
  case exited(Int32)
  case signaled(Int32)

  /// SIGINT ended it: by itself, as Python does it, or as a shell tells of its child's.
  var isInterrupt: Bool { self == .signaled(2) || self == .exited(130) }
}

/// Why an attempt could not be started.
public enum StartFailure: Hashable, Sendable {
  case notFound
  case notExecutable
  case noRoom
  case other(errno: Int32)

  /// Whether the system has too little of something for a moment, as in errno(3): ENOMEM, EAGAIN, ENFILE, EMFILE.
  var isTransient: Bool {
    guard case .other(let errno) = self else { return false }
    return [12, 11, 23, 24].contains(errno)
  }
}

/// What an arena slot holds.
public enum SlotContent: Hashable, Sendable {
  case empty
  case complete(step: UInt64)
}

/// The trainer's answer to a request.
public enum StageOutcome: Hashable, Sendable {
  case staged(step: UInt64, stall: Duration)
  case missed
  case failed(errno: Int32)
}

/// What is found when the whole tree of an attempt is gone and its ring is drained to the end.
public struct Remains: Hashable, Sendable {
  public var resume: ResumePoint
  /// Newest recorded step, nil when the attempt recorded none.
  public var progress: Progress?
  public var slots: [SlotContent]
  /// What the trainer said of its end, where it said something.
  public var failure: FailurePlace?
  /// The greatest step that the job ever recorded.
  public var furthest: UInt64

  public init(
    resume: ResumePoint, progress: Progress?, slots: [SlotContent], failure: FailurePlace? = nil,
    furthest: UInt64 = 0
  ) {
    self.resume = resume
    self.progress = progress
    self.slots = slots
    self.failure = failure
    self.furthest = furthest
  }
}

/// What takes the place of a resume point that is damaged.
public struct Replacement: Hashable, Sendable {
  public var damaged: ResumePoint
  public var next: ResumePoint
  public var slots: [SlotContent]
  /// Step of the newest durable checkpoint that is not damaged, 0 for none.
  public var durableStep: UInt64

  public init(damaged: ResumePoint, next: ResumePoint, slots: [SlotContent], durableStep: UInt64) {
    self.damaged = damaged
    self.next = next
    self.slots = slots
    self.durableStep = durableStep
  }
}

public enum TimerKind: String, Hashable, Sendable, CaseIterable {
  /// A staged checkpoint is due.
  case stage
  /// A durable checkpoint is due.
  case durable
  /// No step for too long.
  case hang
  /// The requested save took too long to be waited for any more.
  case saveDeadline
  /// The trainer did not leave after SIGTERM, or had its time to write its stacks.
  case kill
  /// The grace time is over.
  case graceEnd
  /// The pause before the next attempt is over.
  case backoff
  /// The machine goes soon: the trainer must leave now.
  case preemption
}

/// Everything that can happen to a supervisor.
public enum Event: Hashable, Sendable {
  /// The store is open, what an earlier supervisor left is recovered, no trainer is alive.
  case begin(Remains)
  case started
  case startFailed(StartFailure)
  /// The trainer speaks the protocol.
  /// - Parameter tellsStacks: it offers a signal at which it writes where each of its threads is.
  case attached(tellsStacks: Bool = false)
  /// Steps were recorded up to this one.
  case stepped(Progress)
  /// The trainer is alive between steps (`safepoint()`).
  case heartbeat
  case answered(sequence: UInt64, StageOutcome)
  /// The trainer said it finished; the final state is in `slot` where it could be staged.
  case finished(step: UInt64, slot: Int?)
  case published(slot: Int, step: UInt64, took: Duration)
  /// - Parameter isDamaged: the image is not what was staged: there is no use in trying again.
  case publishFailed(slot: Int, step: UInt64, isDamaged: Bool = false)
  /// - Parameters:
  ///   - outOfMemory: the kernel killed it because memory ran out.
  ///   - restoring: it was taking its resume point.
  case exited(ExitStatus, outOfMemory: Bool = false, restoring: Bool = false)
  /// What the next attempt was to start from, or this one has yet to take, is damaged.
  case resumePointDamaged(Replacement)
  /// The trainer took a resume point that is damaged: it did not wait for the verdict.
  case misled
  /// The trainer staged its state unasked, before its first step.
  case stagedInitially(slot: Int, StageOutcome)
  /// The whole tree is gone and the ring drained.
  case cleared(Remains)
  case timer(TimerKind)
  /// SIGTERM or SIGINT to the supervisor.
  case stopRequested
  /// SIGUSR1 to the supervisor.
  case checkpointRequested
  /// The machine is going to be taken away, at a time.
  case preemptionNotice(PreemptionNotice)
  /// It might be.
  case preemptionWarning(source: String, text: String)
  /// It will not be after all.
  /// - Parameter event: that of the notice; empty: of whichever there is.
  case preemptionCancelled(event: String = "")
  /// SIGHUP to the supervisor: other choices of the user's hold from now on.
  case policyChanged(Policy)
}
