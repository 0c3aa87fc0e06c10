/// Payload of the `metrics` record: metrics of a step that were computed after it, such as by a validation.
public struct StepMetrics: Hashable, Sendable, Codable {
  /// They belong to the state after this step.
  public var step: UInt64
  /// By name; may contain NaN and infinities.
  public var values: [String: Double]

  public init(step: UInt64, values: [String: Double]) {
    self.step = step
    self.values = values
  }
}
