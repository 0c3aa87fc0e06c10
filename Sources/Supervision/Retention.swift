/// Selects checkpoints to remove. Invariants:
/// - The newest verified checkpoint is always retained. A checkpoint is verified only after its files were read and
///   found intact.
/// - Damaged checkpoints are never removed, so each is read before its removal.
/// - A checkpoint is removed only if no policy keeps it.
/// - Checkpoints with only weights are counted apart from those of the whole state, as no attempt starts from them.
///   Where no policy counts checkpoints of the whole state, the newest ones are kept for the next attempt; where none
///   counts those with only weights, all of them are kept.
public enum Retention {
  public enum Condition: Hashable, Sendable {
    /// Written or fully read by this process.
    case verified
    /// Not read since it was written by another process.
    case unread
    case damaged
  }

  public struct Listed: Hashable, Sendable {
    public var name: String
    public var step: UInt64
    public var condition: Condition
    /// The day on which it was made, counted from any day.
    public var day: Int
    public var metrics: [String: Double]
    /// `CheckpointReason.word` of each reason for which it was saved.
    public var reasons: Set<String>
    public var weightsOnly: Bool

    public init(
      name: String, step: UInt64, condition: Condition, day: Int = 0, metrics: [String: Double] = [:],
      reasons: Set<String> = [], weightsOnly: Bool = false
    ) {
      self.name = name
      self.step = step
      self.condition = condition
      self.day = day
      self.metrics = metrics
      self.reasons = reasons
      self.weightsOnly = weightsOnly
    }
  }

  /// Why a checkpoint is kept.
  public enum Kept: Hashable, Sendable {
    /// It is the newest one that is intact.
    case newest
    case last(Int)
    /// - Parameter rank: 1 for the best one.
    case best(rank: Int, monitor: String)
    /// It has no value to rank it by, and there are fewer than `keepBest` that have one.
    case unranked(monitor: String)
    case everySteps(UInt64)
    case daily(Int)
    /// It has only weights, and no policy counts such checkpoints.
    case weights
  }

  public struct Plan: Hashable, Sendable {
    /// Names of checkpoints to remove, oldest first.
    public var remove: [String] = []
    /// Names of checkpoints to remove after they were read and found intact, oldest first.
    public var read: [String] = []
    /// Step of the oldest verified checkpoint that is retained; nil if there is none.
    public var oldestKept: UInt64?
    /// Why each checkpoint is kept, by name.
    public var kept: [String: [Kept]] = [:]
  }

  public static func plan(_ listed: [Listed], _ policies: [CheckpointPolicy]) -> Plan {
    let ordered = listed.sorted { ($0.step, $0.name) > ($1.step, $1.name) }
    var plan = Plan()
    let (whole, weights) = (ordered.filter { !$0.weightsOnly }, ordered.filter(\.weightsOnly))
    if let newest = whole.first(where: { $0.condition == .verified }) { plan.keep(newest, .newest) }
    if policies.allSatisfy(\.weightsOnly) { keepLast(whole, CheckpointPolicy(), &plan) }
    if !policies.contains(where: \.weightsOnly) { for one in weights { plan.keep(one, .weights) } }
    for (index, policy) in policies.enumerated() {
      let ordered = policy.weightsOnly ? weights : whole
      let own = own(ordered, policy, isOfJob: index == 0)
      keepLast(own, policy, &plan)
      for (rank, one) in best(own, policy).enumerated() {
        let monitor = policy.monitor ?? ""
        plan.keep(
          one,
          value(one, monitor) == nil ? .unranked(monitor: monitor) : .best(rank: rank + 1, monitor: monitor))
      }
      if let every = policy.keepEverySteps, every > 0 {
        for one in ordered where one.step % every == 0 && one.step > 0 { plan.keep(one, .everySteps(every)) }
      }
      keepDaily(own, policy, &plan)
    }
    for one in ordered {
      guard plan.kept[one.name] == nil else {
        if one.condition == .verified, !one.weightsOnly { plan.oldestKept = one.step }
        continue
      }
      switch one.condition {
      case .damaged: continue
      case .verified: plan.remove.append(one.name)
      case .unread: plan.read.append(one.name)
      }
    }
    plan.remove.reverse()
    plan.read.reverse()
    return plan
  }

  /// Those that a policy counts: that of the whole job has all, another one has what it has saved.
  private static func own(_ listed: [Listed], _ policy: CheckpointPolicy, isOfJob: Bool) -> [Listed] {
    let words = Set(policy.reasons.map(\.word))
    return isOfJob ? listed : listed.filter { !$0.reasons.isDisjoint(with: words) }
  }

  /// The best checkpoints of each policy that ranks them, best first, with the values of its metric. Ones without the
  /// metric are left out.
  public static func best(_ listed: [Listed], _ policies: [CheckpointPolicy]) -> [(
    policy: CheckpointPolicy, best: [(checkpoint: Listed, score: Double)]
  )] {
    policies.enumerated().compactMap { index, policy in
      guard policy.keepBest > 0, let monitor = policy.monitor else { return nil }
      return (
        policy,
        best(own(listed, policy, isOfJob: index == 0), policy).compactMap { one in
          value(one, monitor).map { (one, $0) }
        }
      )
    }
  }

  /// The best checkpoints, best first. Ones without the metric are worse than any value, and the newest comes first:
  /// a metric that is missing must not cost the checkpoint.
  public static func best(_ listed: [Listed], _ policy: CheckpointPolicy) -> [Listed] {
    guard let monitor = policy.monitor, policy.keepBest > 0 else { return [] }
    let usable = listed.filter { $0.condition != .damaged && $0.weightsOnly == policy.weightsOnly }
    let ranked = usable.sorted { left, right in
      switch (value(left, monitor), value(right, monitor)) {
      case (let first?, let second?) where first != second:
        return policy.mode == .min ? first < second : first > second
      case (nil, _?): return false
      case (_?, nil): return true
      default: return (left.step, left.name) > (right.step, right.name)
      }
    }
    return Array(ranked.prefix(policy.keepBest))
  }

  private static func value(_ one: Listed, _ monitor: String) -> Double? {
    one.metrics[monitor].flatMap { $0.isNaN ? nil : $0 }
  }

  /// Only verified ones are counted; unread ones between them are kept too.
  private static func keepLast(_ ordered: [Listed], _ policy: CheckpointPolicy, _ plan: inout Plan) {
    var count = 0
    for one in ordered where one.condition != .damaged {
      guard count < policy.keptLast else { return }
      plan.keep(one, .last(policy.keptLast))
      if one.condition == .verified { count += 1 }
    }
  }

  private static func keepDaily(_ ordered: [Listed], _ policy: CheckpointPolicy, _ plan: inout Plan) {
    var days: Set<Int> = []
    for one in ordered where one.condition != .damaged {
      guard days.count < policy.keepDaily else { return }
      if days.insert(one.day).inserted { plan.keep(one, .daily(policy.keepDaily)) }
    }
  }
}

extension Retention.Plan {
  fileprivate mutating func keep(_ one: Retention.Listed, _ why: Retention.Kept) {
    kept[one.name, default: []].append(why)
  }
}
