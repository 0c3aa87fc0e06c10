import TrainerProtocol

/// The metrics that the trainer reported after a step, such as those of a validation: they belong to the state after
/// that step, whose checkpoint may not exist yet.
final class LoggedMetrics {
  /// Key in the store of the newest ones.
  static let document = "logged_metrics"

  /// Key in the store of the monitored metrics that were reported as missing.
  static let missingDocument = "missing_metrics"

  private var newest: StepMetrics?
  /// Monitored metrics that were reported as missing.
  private(set) var missing: Set<String>

  /// - Parameters: of an earlier supervisor.
  init(_ newest: StepMetrics?, missing: Set<String>) {
    self.newest = newest
    self.missing = missing
  }

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
