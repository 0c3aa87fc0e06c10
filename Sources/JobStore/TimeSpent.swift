/// Breakdown of the wall time since a job's first attempt, in seconds. The parts add up to the total.
///
/// Steps that are lost with an attempt count as replay when they are repeated. The share of `productive` is
/// the goodput.
public struct TimeSpent: Hashable, Sendable, Codable {
  /// Steps that were made for the first time.
  public var productive = 0.0
  /// From the start of an attempt to its first step, or to its end if it made none.
  public var startUp = 0.0
  /// Waiting of the trainer for staging.
  public var saveStall = 0.0
  /// Repeated steps.
  public var replay = 0.0
  /// No attempt was running.
  public var down = 0.0

  public var total: Double { productive + startUp + saveStall + replay + down }

  /// nil if the total is zero.
  public var goodput: Double? { total > 0 ? productive / total : nil }

  /// When the newest added attempt ended or was last seen.
  private var lastEndNs: UInt64?

  public init() {}

  /// - Parameters:
  ///   - attempts: oldest first.
  ///   - newestStep: newest step of the job, to count the steps of a running attempt.
  ///   - nowNs: end of the counted time; nil for a job that is not supervised: the end of the newest attempt.
  public init(_ attempts: [AttemptRecord], newestStep: UInt64?, nowNs: UInt64?) {
    for attempt in attempts { add(attempt, newestStep: newestStep, nowNs: nowNs) }
    if let nowNs { wait(until: nowNs) }
  }

  /// Adds the next attempt; see `init`.
  mutating func add(_ attempt: AttemptRecord, newestStep: UInt64?, nowNs: UInt64?) {
    let start = attempt.startedAtNs
    let end = max(start, attempt.endedAtNs ?? nowNs ?? start)
    if let lastEndNs { down += Self.seconds(lastEndNs, start) }
    add(attempt, from: start, to: end, newestStep: newestStep)
    lastEndNs = end
  }

  /// Adds the time until `nowNs`, in which no attempt began.
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
