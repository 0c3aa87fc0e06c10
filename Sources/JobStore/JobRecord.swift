public import TrainerProtocol

// Records (of the job, attempts, checkpoints and events, and `live`) are stored as JSON. Fields are only ever added. Times are nanoseconds of CLOCK_REALTIME.

/// The job itself; key `job` in `meta`.
public struct JobRecord: Hashable, Sendable, Codable {
  public var job: String
  public var id: JobID
  public var createdAtNs: UInt64
  public var command: [String]
  public var finishedAtNs: UInt64?
  public var finishedStep: UInt64?
  public var totalSteps: UInt64?
  public var totalEpochs: UInt64?
  public var batchesPerEpoch: UInt64?
  public var hyperparameters: Hyperparameters = [:]
  /// What `--set` changed, in this order; nil: nothing.
  public var hyperparameterChanges: [HyperparameterChange]?
  /// The interpreter of the newest trainer that named one.
  public var interpreter: String?
  /// Where its checkpoints are; nil: below the state directory.
  public var checkpointDirectory: String?
  /// Identifies the filesystem of that directory also after a reboot; nil: unknown.
  public var checkpointFilesystem: String?
  /// The remote storage of the newest supervisor; nil: none. Without credentials.
  public var remote: String?

  public init(job: String, id: JobID, createdAtNs: UInt64, command: [String]) {
    self.job = job
    self.id = id
    self.createdAtNs = createdAtNs
    self.command = command
  }
}

extension JobRecord: HyperparameterDocument {}
