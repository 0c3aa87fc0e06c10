public import Metrics
public import Preemption
public import Supervision
public import SystemPackage

/// Settings of one run of the supervisor.
public struct Configuration: Sendable {
  public var job: String
  /// Whether the user set the name. If not, it was derived from the command; a name in the store takes precedence.
  public var isJobNamed = false
  /// The job's directory: store, checkpoints and lock.
  public var stateDirectory: FilePath
  /// On tmpfs: ring, arena and `resume.json`.
  public var runDirectory: FilePath
  /// The trainer's `argv`.
  public var command: [String]
  /// `NAME=value`, for the trainer.
  public var environment: [String]
  public var policy: Policy
  /// Reads the configuration file again at SIGHUP; nil: there is no file.
  public var reload: (@Sendable () -> Reload)?
  /// Start or continue from another state than the job's own newest one; nil: from that.
  public var resumeFrom: ResumeFrom?
  /// Hyperparameters to change from here on.
  public var assignments: [Assignment] = []
  /// Start a finished job over; the finished run is archived.
  public var again: Bool
  /// Between polls of the ring.
  public var lookInterval: Duration
  /// Between group commits of snapshots, unless one is requested sooner.
  public var commitInterval: Duration
  public var ringBytes: Int
  /// Directory of the checkpoints; nil: below the state directory.
  public var checkpointDirectory: FilePath?
  /// Whether a link names the newest durable checkpoint.
  public var savesLast = false
  /// The trainer's own files that are its checkpoints; nil: it uses the protocol, or has none.
  public var adoption: AdoptionSettings?
  /// Where checkpoints are replicated; nil: nowhere.
  public var remote: RemoteSettings?
  /// Source of preemption notices.
  public var preemption: PreemptionSource
  /// Address on which metrics are served; nil: none.
  public var metricsAddress: ListenAddress?
  /// Absolute path to which metrics are written; nil: none.
  public var metricsFile: FilePath?
  /// Version of this program.
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
    preemption = .off
    version = ""
  }
}
