import JobStore
import Metrics
import POSIX
import Supervision
import Vocabulary

/// State that is only needed for metrics.
struct MetricsMemory {
  /// Between two updates.
  static let interval = Duration.seconds(1)
  /// Name of the store's document with the counters.
  static let document = "metrics"

  /// Persisted, so that no counter decreases when the supervisor is restarted.
  struct Persisted: Codable {
    var counters = Counters()
    var stepDurations = Self.noDurations

    static var noDurations: Histogram { Histogram(bounds: StepDurations.bounds.map { $0 / .seconds(1) }) }
  }

  let export: MetricsExport
  private var persisted: Persisted
  /// Totals of the attempts before the current one.
  private var past: AttemptSummary
  /// Facts with counters that may not be in the store yet.
  private(set) var waiting: JobFacts?

  init(_ export: MetricsExport, store: JobStore) throws(StoreError) {
    self.export = export
    past = try store.attemptSummary()
    persisted = try store.document(Self.document) ?? Persisted()
    // Written by a version with other buckets.
    if persisted.stepDurations.bounds != Persisted.noDurations.bounds {
      persisted.stepDurations = Persisted.noDurations
    }
  }

  /// Adds an attempt that is over to the totals.
  mutating func addPast(_ attempt: AttemptRecord) {
    if attempt.attempt > 0 { past.add(attempt) }
  }

  mutating func add(_ durations: StepDurations) {
    persisted.stepDurations.add(durations.counts, sum: Double(durations.sumNanoseconds) / 1e9)
  }

  /// Adds what is computed from the attempts to `facts`.
  /// - Parameter current: the current attempt; number 0: there is none yet.
  /// - Returns: what must be in the store before the facts are published.
  mutating func complete(_ facts: inout JobFacts, current: AttemptRecord) -> StoreOperation {
    var all = past
    if current.attempt > 0 { all.add(current) }
    let spent = all.timeSpent(newestStep: current.lastStep, nowNs: facts.gatheredAtNs)
    persisted.counters.raise(to: Counters(all, spent))
    facts.goodput = spent.goodput
    facts.counters = persisted.counters
    facts.stepDurations = persisted.stepDurations
    waiting = facts
    return .document(Self.document, persisted)
  }

  /// Publishes the facts: their counters are in the store, or waiting any longer is not possible.
  mutating func publish() {
    guard let waiting else { return }
    export.publish(waiting)
    self.waiting = nil
  }
}

extension Counters {
  /// Causes that are exported from the start, with 0.
  private static let causes: [String] =
    Cause.allCases.filter { $0 != .finished }.map(\.rawValue)

  init(_ attempts: AttemptSummary, _ spent: TimeSpent) {
    self.init()
    for cause in Self.causes { (self.attempts[cause], restarts[cause]) = (0, 0) }
    self.attempts[Cause.finished.rawValue] = 0
    let all = attempts.totals()
    steps = all.steps
    replayedSteps = all.replayedSteps
    skippedRecords = all.skippedRecords
    for (cause, count) in all.causes where !cause.isEmpty { self.attempts[cause] = count }
    for (cause, count) in attempts.earlier.causes where !cause.isEmpty { restarts[cause] = count }
    seconds = [
      "productive": spent.productive, "start_up": spent.startUp, "save_stall": spent.saveStall,
      "replay": spent.replay, "down": spent.down,
    ]
  }
}
