import Vocabulary

/// The sums over a job's attempts up to one of them. Kept in the store for all but the newest attempt, so that
/// neither a start nor `status` has to read a hundred thousand records.
public struct AttemptTotals: Hashable, Sendable, Codable {
  /// Under which they are kept in `meta`.
  static let document = "attempt_totals"

  /// Number of the newest attempt that is in them; 0: there is none.
  public private(set) var through: UInt64 = 0
  public private(set) var count: UInt64 = 0
  public private(set) var steps: UInt64 = 0
  public private(set) var replayedSteps: UInt64 = 0
  public private(set) var skippedRecords: UInt64 = 0
  /// Attempts that ended, by cause; without one they are under the empty word.
  public private(set) var causes: [String: UInt64] = [:]
  public private(set) var timeSpent = TimeSpent()
  public private(set) var firstStartedAtNs: UInt64?

  public init() {}

  /// - Parameters:
  ///   - attempt: the next one.
  ///   - newestStep: of the job, for the steps of an attempt that still runs.
  ///   - nowNs: up to when to count an attempt that still runs.
  public mutating func add(_ attempt: AttemptRecord, newestStep: UInt64? = nil, nowNs: UInt64? = nil) {
    pass(attempt.attempt)
    count &+= 1
    steps = [steps, attempt.steps].saturatingSum
    replayedSteps = [replayedSteps, attempt.replayedSteps].saturatingSum
    skippedRecords = [skippedRecords, attempt.skippedRecords].saturatingSum
    if !attempt.running { causes[attempt.cause?.text ?? "", default: 0] &+= 1 }
    timeSpent.add(attempt, newestStep: newestStep, nowNs: nowNs)
    firstStartedAtNs = firstStartedAtNs ?? attempt.startedAtNs
  }

  /// Whatever is to be said of this attempt is in the sums.
  mutating func pass(_ number: UInt64) { through = max(through, number) }
}

/// All attempts of a job, in little: the sums up to the newest, and the newest.
public struct AttemptSummary: Sendable {
  /// Of those before `newest`.
  public private(set) var earlier = AttemptTotals()
  public var newest: AttemptRecord?

  public init() {}

  /// - Parameter attempt: the next one.
  public mutating func add(_ attempt: AttemptRecord) {
    if let newest { earlier.add(newest) }
    newest = attempt
  }

  init(after totals: AttemptTotals) { earlier = totals }

  /// The sums with the newest attempt in them.
  /// - Parameters: see `AttemptTotals.add`; nil for `nowNs`: the job is not supervised.
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
