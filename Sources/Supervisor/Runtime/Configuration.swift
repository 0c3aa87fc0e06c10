import Checkpoints
public import Metrics
public import Preemption
public import Supervision
public import SystemPackage

/// Everything that one run of the supervisor is told.
public struct Configuration: Sendable {
  public var job: String
  /// Whether the user named it; else the name was guessed from the command, and the store knows better.
  public var isJobNamed = false
  /// The job's own directory: store, checkpoints and lock.
  public var stateDirectory: FilePath
  /// On tmpfs: ring, arena and `resume.json`.
  public var runDirectory: FilePath
  /// The trainer's `argv`.
  public var command: [String]
  /// `NAME=value`, what the trainer inherits.
  public var environment: [String]
  public var policy: Policy
  /// Reads the configuration again, at SIGHUP; nil: there is no file.
  public var reload: (@Sendable () -> Reload)?
  /// Start a finished job over; the old run is kept aside.
  public var again: Bool
  /// Between looks at the ring.
  public var lookInterval: Duration
  /// Between group commits of snapshots, where nothing asks for one sooner.
  public var commitInterval: Duration
  public var ringBytes: Int
  /// Durable checkpoints that are kept.
  public var keptCheckpoints: Int
  /// Where notices come from that the machine will be taken away.
  public var preemption: PreemptionSource
  /// Where metrics are served; nil: nowhere.
  public var metricsAddress: ListenAddress?
  /// Where metrics are written, an absolute path; nil: nowhere.
  public var metricsFile: FilePath?
  /// Of this program, for whoever asks.
  public var version: String

  public init(
    job: String, stateDirectory: FilePath, runDirectory: FilePath, command: [String],
    environment: [String], policy: Policy = Policy(), again: Bool = false
  ) {
    self.job = job
    self.stateDirectory = stateDirectory
    self.runDirectory = runDirectory
    self.command = command
    self.environment = environment
    self.policy = policy
    self.again = again
    lookInterval = .milliseconds(100)
    commitInterval = .seconds(1)
    ringBytes = 4 << 20
    keptCheckpoints = Retention.keptByDefault
    preemption = .off
    version = ""
  }
}
