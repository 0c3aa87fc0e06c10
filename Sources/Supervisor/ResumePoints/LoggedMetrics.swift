import TrainerProtocol

/// The metrics that the trainer reported after a step, such as those of a validation: they belong to the state after
/// that step, whose checkpoint may not exist yet.
final class LoggedMetrics {
  /// Key in the store of the newest ones.
  static let document = "logged_metrics"

  private var newest: StepMetrics?
  /// Monitored metrics that were reported as missing.
  private var missing: Set<String> = []

  /// - Parameter newest: of an earlier supervisor.
  init(_ newest: StepMetrics?) { self.newest = newest }

  func add(_ metrics: StepMetrics) {
    if newest?.step == metrics.step {
      newest?.values.merge(metrics.values) { $1 }
    } else {
      newest = metrics
    }
  }

  func values(of step: UInt64) -> [String: Double] {
    newest.flatMap { $0.step == step ? $0.values : nil } ?? [:]
  }

  /// Whether this metric was not reported as missing before.
  func isFirstMissing(_ name: String) -> Bool { missing.insert(name).inserted }
}
