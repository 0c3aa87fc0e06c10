public import Metrics
public import Preemption
public import Supervision

/// All that can be set for a job. What is not set anywhere has the value that it has here.
public struct JobSettings: Hashable, Sendable {
  /// The trainer's `argv`; empty: not set.
  public var command: [String] = []
  /// Where the trainer runs; nil: where the supervisor was started.
  public var workingDirectory: String?
  public var name: String?
  public var stateDirectory: String?
  public var runDirectory: String?
  /// Added to what the trainer inherits.
  public var environment: [String: String] = [:]
  public var policy = Policy()
  public var preemption = PreemptionSource.auto
  /// Where metrics are served.
  public var metricsAddress: ListenAddress?
  /// Where metrics are written.
  public var metricsFile: String?

  public init() {}
}
