/// When the next checkpoint is due. Measured in wall time across attempts and supervisors, so that
/// preemptions more frequent than the interval still get checkpoints.
public struct Schedule: Hashable, Sendable {
  /// Share of the time that staging may take with `auto`. The rest of the 1 % allows for noise.
  static let overhead = 0.008
  /// `auto` never stages more often than this.
  static let shortestStageInterval = Duration.seconds(1)

  /// Monotonic time of the newest staged checkpoint; nil: none since this supervisor began.
  public var stagedAt: Duration?
  /// Estimated monotonic time of the newest durable checkpoint.
  public var durableAt: Duration
  /// Cost of a staging for the trainer: the newest stall, or a larger earlier one, which decays.
  public var stall: Duration?
  /// Duration of the newest publication; nil: unknown.
  public var publishing: Duration?

  public init(policy: Policy, standing: Standing, now: Moment) {
    // The wall clock may have jumped since then. Backwards: supervised time is used instead. Forwards: at worst, one
    // checkpoint too many is made.
    let byWall = standing.lastDurableWallSeconds.map { now.wall - .seconds($0) } ?? .zero
    let elapsed = min(policy.durableInterval, max(byWall, .seconds(standing.undurableSeconds), .zero))
    durableAt = now.monotonic - elapsed
    publishing = standing.publishingSeconds.map { .seconds($0) }
  }

  /// Time between staged checkpoints.
  public func stageInterval(_ policy: Policy) -> Duration {
    switch policy.stageInterval {
    case .fixed(let interval): return interval
    case .off: return policy.durableInterval
    case .auto:
      let affordable = (stall ?? .zero) / Self.overhead
      return max(Self.shortestStageInterval, affordable)
    }
  }

  /// Monotonic time at which the next staged checkpoint is due, given the attempt's first step now.
  public func nextStage(_ policy: Policy, now: Duration) -> Duration {
    // An attempt that dies before the interval is over must not restart the interval.
    guard let stagedAt else { return now }
    return max(now, stagedAt + stageInterval(policy))
  }

  public func nextDurable(_ policy: Policy) -> Duration { durableAt + policy.durableInterval }

  /// Time after which an unanswered request is repeated.
  static let answerTimeout = Duration.seconds(60)

  mutating func staged(stall new: Duration, at now: Duration) {
    stagedAt = now
    measured(stall: new)
  }

  mutating func measured(stall new: Duration) {
    // Rises at once, falls by a quarter each time: one fast copy must not hide slow ones.
    stall = max(new, (stall ?? .zero) * 3 / 4)
  }
}
