/// The user's settings for one run of the supervisor.
public struct Policy: Hashable, Sendable {
  /// A limit that is off, follows what was measured, or is fixed.
  public enum Limit: Hashable, Sendable {
    case off
    case auto
    case fixed(Duration)
  }

  /// When and which checkpoints are durable.
  public var checkpoint = CheckpointPolicy.initial
  /// Policies beside that.
  public var additional: [CheckpointPolicy] = []
  /// Whether checkpoints become durable without a request for one.
  public var isDurable = true
  /// Time between staged checkpoints. `auto` keeps the measured stall under 1 % of the time.
  public var stageInterval: Limit = .auto
  /// Time to save and exit after a stop signal.
  public var grace: Duration = .seconds(25)
  /// Longest time without a step before the trainer counts as hung.
  public var stepTimeout: Limit = .auto
  /// Attempts in a row without progress after which the supervisor gives up.
  public var maxStalls = 5
  /// Deaths in the same batch after which that batch is skipped; nil: never.
  public var skipBatchAfter: Int?
  /// Arena slots: one holds the newest staged checkpoint while the other is filled.
  public var slotCount = 2

  /// Whether a finished run that differs from an undisturbed one counts as a failure.
  public var requiresIdentical = false

  public init() {}

  public var policies: [CheckpointPolicy] { [checkpoint] + additional }

  /// Longest wall time between durable checkpoints.
  public var durableInterval: Duration {
    get { policies.compactMap(\.interval).min() ?? CheckpointPolicy.defaultInterval }
    set { checkpoint.interval = newValue }
  }

  /// Those of `reasons` for which a checkpoint with only weights is made. A policy of the job makes one of each
  /// checkpoint.
  public func weightsReasons(_ reasons: Set<CheckpointReason>) -> Set<CheckpointReason> {
    if checkpoint.weightsOnly { return reasons }
    return reasons.intersection(additional.filter(\.weightsOnly).flatMap(\.reasons))
  }

  /// Whether a checkpoint of the whole state is made for one of `reasons`: unless all of them are steps or epochs of
  /// policies that want only weights. An attempt can start only from the whole state, so time, requests and ends
  /// always save it.
  public func needsWholeState(_ reasons: Set<CheckpointReason>) -> Bool {
    let whole = Set(policies.filter { !$0.weightsOnly }.flatMap(\.reasons))
    let weights = Set(policies.filter(\.weightsOnly).flatMap(\.reasons)).subtracting(whole)
    return !reasons.allSatisfy { reason in
      switch reason {
      case .steps, .epochs: weights.contains(reason)
      default: false
      }
    }
  }

  /// The smallest number of steps after which a policy saves.
  var shortestSteps: UInt64? { policies.compactMap(\.everySteps).min() }
}
