import Vocabulary

/// Sums over a job's attempts up to one of them. The store has them for all but the newest attempt, so that
/// neither a start nor `status` has to read a hundred thousand records.
public struct AttemptTotals: Hashable, Sendable, Codable {
  /// Their key in `meta`.
  static let document = "attempt_totals"

  /// Number of the newest attempt that is included; 0 if none is.
  public private(set) var through: UInt64 = 0
  public private(set) var count: UInt64 = 0
  public private(set) var steps: UInt64 = 0
  public private(set) var replayedSteps: UInt64 = 0
  public private(set) var skippedRecords: UInt64 = 0
  /// Number of ended attempts by cause; without a cause, under the empty string.
  public private(set) var causes: [String: UInt64] = [:]
  public private(set) var timeSpent = TimeSpent()
  public private(set) var firstStartedAtNs: UInt64?

  public init() {}

  /// - Parameters:
  ///   - attempt: the next attempt.
  ///   - newestStep: newest step of the job, to count the steps of a running attempt.
  ///   - nowNs: end of the counted time of a running attempt.
  public mutating func add(_ attempt: AttemptRecord, newestStep: UInt64? = nil, nowNs: UInt64? = nil) {
    markIncluded(attempt.attempt)
    count &+= 1
    steps = [steps, attempt.steps].saturatingSum
    replayedSteps = [replayedSteps, attempt.replayedSteps].saturatingSum
    skippedRecords = [skippedRecords, attempt.skippedRecords].saturatingSum
    if !attempt.running { causes[attempt.cause?.text ?? "", default: 0] &+= 1 }
    timeSpent.add(attempt, newestStep: newestStep, nowNs: nowNs)
    firstStartedAtNs = firstStartedAtNs ?? attempt.startedAtNs
  }

  /// Marks an attempt as included in the sums.
  mutating func markIncluded(_ number: UInt64) { through = max(through, number) }
}
