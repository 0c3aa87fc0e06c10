/// The numbers that only ever grow over the life of a job, whoever supervises it: Prometheus takes a
/// counter that goes back for one that began again at 0, and would count all of it anew.
///
/// They are made anew from the attempts each time, and those may be told a little differently
/// afterwards (an attempt that nobody saw end, ends with its last step). So what was once said stays.
public struct Counters: Hashable, Sendable, Codable {
  public var steps: UInt64 = 0
  public var replayedSteps: UInt64 = 0
  public var skippedRecords: UInt64 = 0
  /// Attempts that ended, by cause.
  public var attempts: [String: UInt64] = [:]
  /// Attempts that were followed by another, by the cause of their end.
  public var restarts: [String: UInt64] = [:]
  /// Wall time by what it went to, in seconds.
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
