import JobStore
import Metrics
import POSIX
import Supervision
import Vocabulary

/// What the runtime remembers for metrics only.
struct MetricsMemory {
  /// Between two looks at how things are.
  static let interval = Duration.seconds(1)
  /// Under which the counters are kept in the store.
  static let document = "metrics"

  /// What outlives the supervisor, so that no counter goes back.
  struct Persisted: Codable {
    var counters = Counters()
    var stepDurations = Self.noDurations

    static var noDurations: Histogram { Histogram(bounds: StepDurations.bounds.map { $0 / .seconds(1) }) }
  }

  let export: MetricsExport
  private var persisted: Persisted
  /// Of the attempts before the one on record.
  private var past: AttemptSummary
  /// Facts whose counters are not known to be in the store yet.
  private(set) var waiting: JobFacts?

  init(_ export: MetricsExport, store: JobStore) throws(StoreError) {
    self.export = export
    past = try store.attemptSummary()
    persisted = try store.document(Self.document) ?? Persisted()
    // Of a version that counted in other buckets.
    if persisted.stepDurations.bounds != Persisted.noDurations.bounds { persisted.stepDurations = Persisted.noDurations }
  }

  /// The attempt on record is over, and another will take its place.
  mutating func addPast(_ attempt: AttemptRecord) {
    if attempt.attempt > 0 { past.add(attempt) }
  }

  mutating func add(_ durations: StepDurations) {
    persisted.stepDurations.add(durations.counts, sum: Double(durations.sumNanoseconds) / 1e9)
  }

  /// Completes `facts` by what follows from the attempts.
  /// - Parameter current: the attempt on record; number 0: there is none yet.
  /// - Returns: what must be in the store before somebody reads the facts.
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

  /// Lets the facts be read: their counters are in the store, or it cannot be waited for any longer.
  mutating func publish() {
    guard let waiting else { return }
    export.publish(waiting)
    self.waiting = nil
  }
}

extension Counters {
  /// Causes that are counted from the beginning, at 0.
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
