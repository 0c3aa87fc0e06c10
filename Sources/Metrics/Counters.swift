/// Counters that never decrease during the life of a job, across supervisors: Prometheus interprets a decrease as
/// a reset to 0 and would count everything again.
///
/// They are computed from the attempts each time, whose data may change slightly afterwards (an attempt whose end
/// was not observed ends with its last step). So published values are a lower bound.
public struct Counters: Hashable, Sendable, Codable {
  public var steps: UInt64 = 0
  public var replayedSteps: UInt64 = 0
  public var skippedRecords: UInt64 = 0
  /// Attempts that ended, by cause.
  public var attempts: [String: UInt64] = [:]
  /// Attempts that were followed by another, by cause of their end.
  public var restarts: [String: UInt64] = [:]
  /// Wall time by category, in seconds.
  public var seconds: [String: Double] = [:]

  public init() {}

  /// Raises each number to that of `other` where that is larger.
  public mutating func raise(to other: Counters) {
    steps = max(steps, other.steps)
    replayedSteps = max(replayedSteps, other.replayedSteps)
    skippedRecords = max(skippedRecords, other.skippedRecords)
    attempts.merge(other.attempts, uniquingKeysWith: max)
    restarts.merge(other.restarts, uniquingKeysWith: max)
    seconds.merge(other.seconds, uniquingKeysWith: max)
  }
}
