public import Vocabulary

/// The whole state of the core. Invariants:
/// - `attempt` is set exactly from `starting` to `clearing`.
/// - At most one request is open, at most one slot is being published.
/// - A request never names the slot that holds the newest staged checkpoint, nor the one that is
///   being published.
public struct State: Hashable, Sendable {
  public struct Attempt: Hashable, Sendable {
    public var from: ResumePoint
    public var attached = false
    public var progress: Progress?
    /// Monotonic time of its start, or of its last step or heartbeat.
    public var aliveAt: Duration
    /// Monotonic time of its newest step.
    public var steppedAt: Duration = .zero
    public var exit: ExitStatus?
    /// It offers a signal at which it writes its stacks.
    public var offersStacks = false
    public var hung = false
    public var ranOutOfMemory = false
    public var finishedStep: UInt64?
    public var stagedOnce = false
    /// Its end does not count as a failure.
    public var loadedDamagedPoint = false
    /// It saves at its next step instead of an epoch's end.
    public var ignoresEpochEnds = false
    /// A save at the end of an epoch was answered.
    public var hasEndedEpoch = false
    /// The newest request that was answered with a state.
    public var answered: Request?
    /// How many epochs had ended at the last look; nil: before the first.
    public var endedEpochs: UInt64?
    /// Saves at ends of epochs since.
    public var savedEpochEnds: UInt64 = 0
    /// The end of an epoch that comes next, where policies ask for both.
    public var epochEnd = EpochEnd.training
    /// Steps by which a target is ahead of the trainer, after ones that were missed.
    public var lead: UInt64 = 0
    /// Targets up to this step are not requested.
    public var targetFloor: UInt64 = 0
    var hangIsArmed = false
  }

  public struct Request: Hashable, Sendable {
    public var sequence: UInt64
    public var slot: Int
    public var kind: RequestKind
    /// nil: at the next step.
    public var target: SaveTarget?
    /// Monotonic time of the first request.
    public var requestedAt: Duration
    /// How often it was requested.
    public var count = 1
  }

  public struct Publication: Hashable, Sendable {
    public var slot: Int
    public var step: UInt64
  }

  public struct Stop: Hashable, Sendable {
    public var requestedAt: Duration
    /// When the supervisor exits, even if something is still in progress.
    public var endsAt: Duration
    /// Caused by a preemption notice, not a signal.
    public var isByNotice: Bool
    /// How often a stop was requested.
    public var count = 1
    public var terminateSent = false
  }

  public struct Preemption: Hashable, Sendable {
    public var notice: PreemptionNotice
    /// Monotonic time at which the machine is taken away.
    public var deadline: Duration
    /// Time that was left when the notice arrived.
    public var lead: Duration
  }

  public var policy: Policy
  public var standing: Standing
  public var phase: Phase = .idle
  public var attempt: Attempt?
  /// What the next attempt starts from.
  public var resume: ResumePoint = .beginning
  public var stop: Stop?
  /// The newest notice that was not cancelled.
  public var preemption: Preemption?
  public var slots: [SlotContent]
  public var request: Request?
  public var publication: Publication?
  public var schedule: Schedule
  public var ending: Ending?
  public var lastSequence: UInt64 = 0
  public var offered: Int?
  /// Step of the newest durable checkpoint, 0 for none.
  public var durableStep: UInt64
  /// Step of the newest durable checkpoint with only weights, 0 for none.
  public var weightsStep: UInt64 = 0
  /// Whether the publication contains the whole state, and whether it contains weights alone beside it.
  public var publishesWholeState = true
  public var publishesWeights = false
  public var startedOnce = false
  /// The pause before an attempt is over; it waits for a publication that it may be resumed from.
  public var startWaits = false
  public var stageIsFailing = false
  /// Longest time between two steps or heartbeats of a trainer that makes steps.
  public var longestPause: Duration?
  /// A stage was due but no slot was free.
  public var stageIsWaiting = false
  /// The next staged checkpoint is to be published at once.
  public var publishNext = false
  /// Why the newest staged checkpoint, or the next one, is to be published.
  public var reasons: Set<CheckpointReason> = []
  public var pace = Pace()
  /// Targets of this supervisor that were passed without a save.
  public var skippedTargets: UInt64 = 0

  public init(
    policy: Policy, standing: Standing, durableStep: UInt64, weightsStep: UInt64 = 0, now: Moment
  ) {
    self.policy = policy
    self.standing = standing
    self.durableStep = durableStep
    self.weightsStep = weightsStep
    slots = Array(repeating: .empty, count: policy.slotCount)
    schedule = Schedule(policy: policy, standing: standing, now: now)
  }

  /// The slot with the newest complete image, and its step.
  public var newestStaged: Publication? {
    var newest: Publication?
    for (slot, content) in slots.enumerated() {
      guard case .complete(let step) = content, step >= newest?.step ?? 0 else { continue }
      newest = Publication(slot: slot, step: step)
    }
    return newest
  }

  /// The slot for the state before the first step, for a trainer that starts from the beginning. Until that step
  /// there are no requests, so nothing else uses the slot.
  public var initialSlot: Int? { resume == .beginning ? freeSlot : nil }

  /// Whether the whole state of this step is durable or is being published.
  func savesWhole(_ step: UInt64) -> Bool {
    step == durableStep || step == publication?.step && publishesWholeState
  }

  /// Whether the weights of this step are durable or are being published. A step that is made again after a resume is
  /// not saved again.
  func savesWeights(_ step: UInt64) -> Bool {
    step <= weightsStep || step == publication?.step && publishesWeights
  }

  /// A slot that may be overwritten now.
  var freeSlot: Int? { freeSlots.first }

  var freeSlots: [Int] {
    let newest = newestStaged?.slot
    return slots.indices.filter { $0 != newest && $0 != publication?.slot && $0 != request?.slot }
  }
}
