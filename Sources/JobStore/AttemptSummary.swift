/// All attempts of a job in summary: the newest, and the sums over those before.
public struct AttemptSummary: Sendable {
  /// Sums over the attempts before `newest`.
  public private(set) var earlier = AttemptTotals()
  public var newest: AttemptRecord?

  public init() {}

  /// - Parameter attempt: the next attempt.
  public mutating func add(_ attempt: AttemptRecord) {
    if let newest { earlier.add(newest) }
    newest = attempt
  }

  init(after totals: AttemptTotals) { earlier = totals }

  /// The sums including the newest attempt.
  /// - Parameters: see `AttemptTotals.add`; `nowNs` is nil if the job is not supervised.
  public func totals(newestStep: UInt64? = nil, nowNs: UInt64? = nil) -> AttemptTotals {
    var totals = earlier
    if let newest { totals.add(newest, newestStep: newestStep, nowNs: nowNs) }
    return totals
  }

  public func timeSpent(newestStep: UInt64?, nowNs: UInt64?) -> TimeSpent {
    var spent = totals(newestStep: newestStep, nowNs: nowNs).timeSpent
    if let nowNs { spent.wait(until: nowNs) }
    return spent
  }
}
