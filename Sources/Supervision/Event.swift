import Vocabulary

/// How a process ended.
public enum ExitStatus: Hashable, Sendable {
  case exited(Int32)
  case signaled(Int32)

  /// SIGINT ended it: directly, as in Python, or reported by a shell for its child.
  var isInterrupt: Bool { self == .signaled(2) || self == .exited(130) }
}

/// Why an attempt could not be started.
public enum StartFailure: Hashable, Sendable {
  case notFound
  case notExecutable
  case noRoom
  case other(errno: Int32)

  /// Whether the system lacks a resource for the moment, as in errno(3): ENOMEM, EAGAIN, ENFILE, EMFILE.
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

/// What an attempt left: determined when its whole tree is gone and its ring is drained.
public struct Remains: Hashable, Sendable {
  public var resume: ResumePoint
  /// Newest recorded step, nil when the attempt recorded none.
  public var progress: Progress?
  public var slots: [SlotContent]
  /// The failure that the trainer reported, if it did.
  public var failure: FailurePlace?
  /// The furthest step that any attempt of the job recorded.
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

/// The replacement of a damaged resume point.
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
  /// No step within the step timeout.
  case hang
  /// The requested save was not answered in time.
  case saveDeadline
  /// The trainer did not exit after SIGTERM, or its time to write stacks is over.
  case kill
  /// The grace time is over.
  case graceEnd
  /// The pause before the next attempt is over.
  case backoff
  /// The trainer must exit now to be done before the machine is taken away.
  case preemption
}

/// Everything that the core reacts to.
public enum Event: Hashable, Sendable {
  /// The store is open, what an earlier supervisor left is recovered, no trainer is running.
  case begin(Remains)
  case started
  case startFailed(StartFailure)
  /// The trainer uses the protocol.
  /// - Parameter offersStacks: it offers a signal at which it writes the stack of each thread.
  case attached(offersStacks: Bool = false)
  /// Steps were recorded up to this one.
  case stepped(Progress)
  /// The trainer is alive between steps (`safepoint()`).
  case heartbeat
  case answered(sequence: UInt64, StageOutcome)
  /// The trainer reported that it finished. The final state is in `slot` if it could be staged.
  case finished(step: UInt64, slot: Int?)
  case published(slot: Int, step: UInt64, took: Duration)
  /// - Parameter isDamaged: the image differs from what was staged, so a retry is useless.
  case publishFailed(slot: Int, step: UInt64, isDamaged: Bool = false)
  /// - Parameters:
  ///   - outOfMemory: the kernel killed it because memory ran out.
  ///   - restoring: it was loading its resume point.
  case exited(ExitStatus, outOfMemory: Bool = false, restoring: Bool = false)
  /// The resume point of the next attempt, or the one that this attempt has not loaded yet, is damaged.
  case resumePointDamaged(Replacement)
  /// The trainer loaded a damaged resume point because it did not wait for the verdict.
  case loadedDamagedPoint
  /// The trainer staged its state without a request, before its first step.
  case stagedInitially(slot: Int, StageOutcome)
  /// The whole tree is gone and the ring drained.
  case cleared(Remains)
  case timer(TimerKind)
  /// SIGTERM or SIGINT to the supervisor.
  case stopRequested
  /// SIGUSR1 to the supervisor.
  case checkpointRequested
  /// The machine will be taken away at a given time.
  case preemptionNotice(PreemptionNotice)
  /// The machine may be taken away.
  case preemptionWarning(source: String, text: String)
  /// The machine will not be taken away after all.
  /// - Parameter event: identifies the notice; empty: any notice.
  case preemptionCancelled(event: String = "")
  /// The configuration was reloaded after SIGHUP.
  case policyChanged(Policy)
}
