public import Metrics
public import Preemption
public import Supervision

/// All settings of a job, with their defaults.
public struct JobSettings: Hashable, Sendable {
  /// The trainer's `argv`; empty: not set.
  public var command: [String] = []
  /// nil: that of the supervisor.
  public var workingDirectory: String?
  public var name: String?
  public var stateDirectory: String?
  public var runDirectory: String?
  /// Added to the environment that the trainer inherits.
  public var environment: [String: String] = [:]
  public var policy = Policy()
  /// nil: below the state directory.
  public var checkpointDirectory: String?
  /// Whether a link names the newest durable checkpoint.
  public var savesLast = false
  /// Files that the trainer writes as checkpoints.
  public var adoptedPattern: String?
  /// The file that completes a directory among them; that of Hugging Face's `Trainer`.
  public var adoptedMarker = "trainer_state.json"
  /// Storage for replicated checkpoints.
  public var remote: String?
  public var remoteInterval: Duration?
  public var remoteKeepLast = 3
  public var remoteBytesPerSecond: UInt64?
  public var remoteHeartbeat = Duration.seconds(20)
  public var preemption = PreemptionSource.auto
  /// Where metrics are served.
  public var metricsAddress: ListenAddress?
  /// Where metrics are written.
  public var metricsFile: String?

  public init() {}

  /// `policy`, without what does not apply to copies of the trainer's own files.
  public var policyInForce: Policy {
    guard adoptedPattern != nil else { return policy }
    var policy = policy
    (policy.checkpoint, policy.additional, policy.isDurable) = (policy.checkpoint.forCopies, [], true)
    return policy
  }
}
