/// When the next checkpoint is due. Measured in wall time across attempts and supervisors, so that
/// preemptions more frequent than the interval still get checkpoints.
public struct Schedule: Hashable, Sendable {
  /// Share of the time that `auto` lets staging take. The rest of the 1 % is for noise.
  static let overhead = 0.008
  /// `auto` never stages more often than this.
  static let shortestStageInterval = Duration.seconds(1)

  /// Monotonic time of the newest staged checkpoint; nil: none since this supervisor began.
  public var stagedAt: Duration?
  /// Monotonic time at which the newest durable checkpoint was made, as well as it is known.
  public var durableAt: Duration
  /// What a staging costs the trainer: the newest stall, or a slowly forgotten larger one.
  public var stall: Duration?
  /// What the newest publication took; nil: none is known.
  public var publishing: Duration?

  public init(policy: Policy, standing: Standing, now: Moment) {
    // The wall clock may have jumped either way since then. Backwards: go by supervised time.
    // Forwards: at worst one checkpoint too many.
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
    // An attempt that dies before the interval is over must not start it anew.
    guard let stagedAt else { return now }
    return max(now, stagedAt + stageInterval(policy))
  }

  public func nextDurable(_ policy: Policy) -> Duration { durableAt + policy.durableInterval }

  /// After which a request that was not answered is made again.
  static let answerPatience = Duration.seconds(60)

  mutating func staged(stall new: Duration, at now: Duration) {
    stagedAt = now
    measured(stall: new)
  }

  mutating func measured(stall new: Duration) {
    // Rises at once, falls by a quarter each time: one cheap copy must not hide dear ones.
    stall = max(new, (stall ?? .zero) * 3 / 4)
  }
}
