import JobStore
import Metrics
import POSIX
import Supervision

/// What the runtime remembers for metrics only.
struct MetricsMemory {
  /// Between two looks at how things are.
  static let interval = Duration.seconds(1)
  /// Under which the counters are kept in the store.
  static let document = "metrics"

  /// What outlives the supervisor, so that no counter goes back.
  struct Kept: Codable {
    var counters = Counters()
    var stepDurations = Self.noDurations

    static var noDurations: Histogram { Histogram(bounds: StepDurations.bounds.map { $0 / .seconds(1) }) }
  }

  let export: MetricsExport
  private var kept: Kept
  /// Ended attempts before the one on record, oldest first.
  private var past: [AttemptRecord]
  /// Facts whose counters are not known to be in the store yet.
  private(set) var waiting: JobFacts?

  init(_ export: MetricsExport, store: JobStore) throws(StoreError) {
    self.export = export
    past = try store.attempts()
    kept = try store.document(Self.document) ?? Kept()
    // Of a version that counted in other buckets.
    if kept.stepDurations.bounds != Kept.noDurations.bounds { kept.stepDurations = Kept.noDurations }
  }

  /// The attempt on record is over, and another will take its place.
  mutating func keep(_ attempt: AttemptRecord) {
    if attempt.attempt > 0 { past.append(attempt) }
  }

  mutating func take(_ durations: StepDurations) {
    kept.stepDurations.add(durations.counts, sum: Double(durations.sumNanoseconds) / 1e9)
  }

  /// Completes `facts` by what follows from the attempts.
  /// - Parameter current: the attempt on record; number 0: there is none yet.
  /// - Returns: what must be in the store before somebody reads the facts.
  mutating func complete(_ facts: inout JobFacts, current: AttemptRecord) -> StoreOperation {
    let attempts = current.attempt > 0 ? past + [current] : past
    let spent = TimeSpent(attempts, newestStep: current.lastStep, nowNs: facts.gatheredAtNs)
    kept.counters.raise(to: Counters(attempts, spent))
    facts.goodput = spent.goodput
    facts.counters = kept.counters
    facts.stepDurations = kept.stepDurations
    waiting = facts
    return .document(Self.document, kept)
  }

  /// Lets the facts be read: their counters are in the store, or it cannot be waited for any longer.
  mutating func tell() {
    guard let waiting else { return }
    export.take(waiting)
    self.waiting = nil
  }
}

extension Counters {
  /// Causes that are counted from the beginning, at 0.
  private static let causes: [String] =
    Cause.allCases.filter { $0 != .finished }.map(\.rawValue) + ["start_failed", "rebooted"]

  /// - Parameter attempts: oldest first.
  init(_ attempts: [AttemptRecord], _ spent: TimeSpent) {
    self.init()
    for cause in Self.causes { (self.attempts[cause], restarts[cause]) = (0, 0) }
    self.attempts[Cause.finished.rawValue] = 0
    for (index, attempt) in attempts.enumerated() {
      steps &+= attempt.steps
      replayedSteps &+= attempt.replayedSteps
      skippedRecords &+= attempt.skippedRecords
      guard !attempt.running, let cause = attempt.cause else { continue }
      self.attempts[cause, default: 0] += 1
      if index + 1 < attempts.count { restarts[cause, default: 0] += 1 }
    }
    seconds = [
      "productive": spent.productive, "start_up": spent.startUp, "save_stall": spent.saveStall,
      "replay": spent.replay, "down": spent.down,
    ]
  }
}
