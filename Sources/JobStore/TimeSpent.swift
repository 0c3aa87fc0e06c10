/// Where the wall time since a job's first attempt went, in seconds. The parts add up to the whole.
///
/// What is lost with an attempt is counted where it is made again, as replay. The share of `productive`
/// is the goodput.
public struct TimeSpent: Hashable, Sendable, Codable {
  /// Steps that counted.
  public var productive = 0.0
  /// From the start of an attempt to its first step; all of an attempt that made none.
  public var startUp = 0.0
  /// The trainer waited for its state to be staged.
  public var saveStall = 0.0
  /// Steps that had been recorded before.
  public var replay = 0.0
  /// No attempt was running.
  public var down = 0.0

  public var total: Double { productive + startUp + saveStall + replay + down }

  /// nil before there is any time to speak of.
  public var goodput: Double? { total > 0 ? productive / total : nil }

  /// When the newest of the attempts that were added ended, or was seen last.
  private var lastEndNs: UInt64?

  public init() {}

  /// - Parameters:
  ///   - attempts: oldest first.
  ///   - newestStep: of the job, for the steps of an attempt that still runs.
  ///   - nowNs: up to when to count; nil: up to the end of the newest attempt, for a job that is not
  ///     supervised.
  public init(_ attempts: [AttemptRecord], newestStep: UInt64?, nowNs: UInt64?) {
    for attempt in attempts { add(attempt, newestStep: newestStep, nowNs: nowNs) }
    if let nowNs { wait(until: nowNs) }
  }

  /// The next attempt; see `init`.
  mutating func add(_ attempt: AttemptRecord, newestStep: UInt64?, nowNs: UInt64?) {
    let start = attempt.startedAtNs
    let end = max(start, attempt.endedAtNs ?? nowNs ?? start)
    if let lastEndNs { down += Self.seconds(lastEndNs, start) }
    add(attempt, from: start, to: end, newestStep: newestStep)
    lastEndNs = end
  }

  /// No other attempt began until then.
  public mutating func wait(until nowNs: UInt64) {
    if let lastEndNs { down += Self.seconds(lastEndNs, nowNs) }
    lastEndNs = lastEndNs.map { max($0, nowNs) }
  }

  private mutating func add(
    _ attempt: AttemptRecord, from start: UInt64, to end: UInt64, newestStep: UInt64?
  ) {
    var steps = attempt.steps
    if attempt.running, let newestStep {
      steps = max(steps, newestStep - min(newestStep, attempt.resumedFrom?.step ?? 0))
    }
    guard steps > 0 else {
      startUp += Self.seconds(start, end)
      return
    }
    let first = min(end, max(start, attempt.firstStepAtNs ?? start))
    startUp += Self.seconds(start, first)
    let stepping = Self.seconds(first, end)
    let stall = min(stepping, Double(attempt.stallNs ?? 0) / 1e9)
    saveStall += stall
    let replayed = min(1, Double(attempt.replayedSteps) / Double(steps)) * (stepping - stall)
    replay += replayed
    productive += stepping - stall - replayed
  }

  private static func seconds(_ from: UInt64, _ to: UInt64) -> Double {
    to > from ? Double(to - from) / 1e9 : 0
  }
}
