import Reporting
public import TrainerProtocol
public import Vocabulary

// What the store holds as JSON. Fields are only ever added. Times are nanoseconds of CLOCK_REALTIME.

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
  public var hyperparameters: [String: Scalar] = [:]

  public init(job: String, id: JobID, createdAtNs: UInt64, command: [String]) {
    self.job = job
    self.id = id
    self.createdAtNs = createdAtNs
    self.command = command
  }
}

/// One execution of the trainer. Written before it starts.
public struct AttemptRecord: Hashable, Sendable, Codable {
  public struct Resume: Hashable, Sendable, Codable {
    public var level: Stored<Level>
    public var step: UInt64

    public init(level: Stored<Level>, step: UInt64) {
      self.level = level
      self.step = step
    }
  }

  /// A stop that was asked for.
  public struct Leaving: Hashable, Sendable, Codable {
    /// `SIGTERM`, or whose notice.
    public var by: String
    public var graceSeconds: Double
    /// From the request until all was durable; nil: there was nothing newer to save.
    public var savedSeconds: Double?

    public init(by: String, graceSeconds: Double) {
      self.by = by
      self.graceSeconds = graceSeconds
    }
  }

  /// That the machine would be taken away, and was not taken back.
  public struct Notice: Hashable, Sendable, Codable {
    public var source: String
    public var action: String
    public var deadlineNs: UInt64

    public init(source: String, action: String, deadlineNs: UInt64) {
      self.source = source
      self.action = action
      self.deadlineNs = deadlineNs
    }
  }

  public var attempt: UInt64
  public var generation: UInt64
  public var pid: Int32?
  /// Clock ticks since boot at which that process began.
  public var pidStartTime: UInt64?
  /// Device and inode of the lock of the supervisor that began it.
  public var stateIdentity: String?
  /// `boot_id` of the kernel that it ran under.
  public var boot: String
  public var startedAtNs: UInt64
  public var endedAtNs: UInt64?
  public var running = true
  public var outcome: Stored<Outcome>?
  public var cause: Stored<Cause>?
  public var signal: Int32?
  public var exitStatus: Int32?
  /// nil: from the beginning.
  public var resumedFrom: Resume?
  public var firstStep: UInt64?
  public var lastStep: UInt64?
  /// At which the trainer said that its loop is complete.
  public var finishedStep: UInt64?
  public var steps: UInt64 = 0
  public var replayedSteps: UInt64 = 0
  /// The first replayed step that was not what it had been, and in what.
  public var differsAtStep: UInt64?
  public var differsIn: String?
  /// All that differed in it.
  public var differences: [ReplayAudit.Item]?
  /// When the first step was recorded: what came before was start-up.
  public var firstStepAtNs: UInt64?
  /// When the newest step was recorded that this record knows of.
  public var lastStepAtNs: UInt64?
  /// What the trainer waited for its checkpoints to be staged, all told.
  public var stallNs: UInt64?
  public var skippedRecords: UInt64 = 0
  public var peakResidentBytes: UInt64?
  /// Processes of it that the kernel killed because memory ran out; nil: none that is known.
  public var oomKills: UInt64?
  public var failure: Failure?
  /// What in its records could not be used, in words.
  public var recordProblems: [String]?
  public var leaving: Leaving?
  public var notice: Notice?

  public init(
    attempt: UInt64, generation: UInt64, boot: String, startedAtNs: UInt64, resumedFrom: Resume?
  ) {
    self.attempt = attempt
    self.generation = generation
    self.boot = boot
    self.startedAtNs = startedAtNs
    self.resumedFrom = resumedFrom
  }
}

/// A durable checkpoint. Listed only after its files are.
public struct CheckpointRecord: Hashable, Sendable, Codable {
  public var name: String
  public var step: UInt64
  public var cut: CutID
  public var attempt: UInt64
  public var epoch: UInt64
  public var batch: UInt64
  public var bytes: UInt64
  public var sha256: String
  public var createdAtNs: UInt64
  public var tookNs: UInt64
  public var metrics: [String: Double]
  /// Why it is known to be damaged; nil: it is not.
  public var damage: String?
  /// When it was last read back in full and found to have its digest.
  public var verifiedAtNs: UInt64?

  public init(
    name: String, step: UInt64, cut: CutID, attempt: UInt64, epoch: UInt64, batch: UInt64, bytes: UInt64,
    sha256: String, createdAtNs: UInt64, tookNs: UInt64, metrics: [String: Double]
  ) {
    self.name = name
    self.step = step
    self.cut = cut
    self.attempt = attempt
    self.epoch = epoch
    self.batch = batch
    self.bytes = bytes
    self.sha256 = sha256
    self.createdAtNs = createdAtNs
    self.tookNs = tookNs
    self.metrics = metrics
  }
}

/// Something that happened, in words and in fields.
public struct EventRecord: Hashable, Sendable, Codable {
  /// Given by the store when it is written.
  public var sequence: UInt64 = 0
  public var timeNs: UInt64
  public var kind: Stored<EventKind>
  public var attempt: UInt64
  public var step: UInt64?
  public var isWarning: Bool
  public var message: String

  public init(
    timeNs: UInt64, kind: Stored<EventKind>, attempt: UInt64, step: UInt64?, isWarning: Bool, message: String
  ) {
    self.timeNs = timeNs
    self.kind = kind
    self.attempt = attempt
    self.step = step
    self.isWarning = isWarning
    self.message = message
  }
}

/// What the supervisor is doing; key `live` in `meta`. Whether it still does, its lock says.
public struct LiveRecord: Hashable, Sendable, Codable {
  public struct Staged: Hashable, Sendable, Codable {
    public var step: UInt64
    public var bytes: UInt64
    public var atNs: UInt64

    public init(step: UInt64, bytes: UInt64, atNs: UInt64) {
      self.step = step
      self.bytes = bytes
      self.atNs = atNs
    }
  }

  public var pid: Int32
  public var startTime: UInt64
  public var boot: String
  public var runDirectory: String
  public var state: Stored<SupervisorState>
  public var trainerPid: Int32?
  public var attempt: UInt64
  public var graceSeconds: Double
  public var stalls: Int
  public var maxStalls: Int
  public var staged: Staged?
  public var degraded: [String]
  /// What the trainer waits for, and how far it is.
  public var doing: String?
  public var updatedAtNs: UInt64

  public init(
    pid: Int32, startTime: UInt64, boot: String, runDirectory: String, state: Stored<SupervisorState>,
    trainerPid: Int32?,
    attempt: UInt64, graceSeconds: Double, stalls: Int, maxStalls: Int, staged: Staged?,
    degraded: [String], doing: String? = nil, updatedAtNs: UInt64
  ) {
    self.pid = pid
    self.startTime = startTime
    self.boot = boot
    self.runDirectory = runDirectory
    self.state = state
    self.trainerPid = trainerPid
    self.attempt = attempt
    self.graceSeconds = graceSeconds
    self.stalls = stalls
    self.maxStalls = maxStalls
    self.staged = staged
    self.degraded = degraded
    self.doing = doing
    self.updatedAtNs = updatedAtNs
  }
}
