import Reporting
public import TrainerProtocol
public import Vocabulary

// Records that are stored as JSON. Fields are only ever added. Times are nanoseconds of CLOCK_REALTIME.

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

  /// A requested stop.
  public struct Leaving: Hashable, Sendable, Codable {
    /// `SIGTERM`, or the source of the notice.
    public var by: String
    public var graceSeconds: Double
    /// Time from the request until the state was durable; nil if there was nothing newer to save.
    public var savedSeconds: Double?

    public init(by: String, graceSeconds: Double) {
      self.by = by
      self.graceSeconds = graceSeconds
    }
  }

  /// A preemption notice that was not withdrawn.
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
  /// Device and inode of the lock of the supervisor that started it.
  public var stateIdentity: String?
  /// `boot_id` of the kernel on which it ran.
  public var boot: String
  public var startedAtNs: UInt64
  public var endedAtNs: UInt64?
  public var running = true
  public var outcome: Stored<Outcome>?
  public var cause: Stored<Cause>?
  public var signal: Int32?
  public var exitStatus: Int32?
  /// nil if it started from the beginning.
  public var resumedFrom: Resume?
  public var firstStep: UInt64?
  public var lastStep: UInt64?
  /// The step at which the trainer reported its loop as complete.
  public var finishedStep: UInt64?
  public var steps: UInt64 = 0
  public var replayedSteps: UInt64 = 0
  /// The first replayed step that differed, and the part that differed.
  public var differsAtStep: UInt64?
  public var differsIn: String?
  /// Everything that differed in that step.
  public var differences: [ReplayAudit.Item]?
  /// When the first step was recorded; start-up ended then.
  public var firstStepAtNs: UInt64?
  /// When the newest step known to this record was recorded.
  public var lastStepAtNs: UInt64?
  /// Total time that the trainer waited for staging.
  public var stallNs: UInt64?
  public var skippedRecords: UInt64 = 0
  public var peakResidentBytes: UInt64?
  /// Number of its processes that the kernel killed because it was out of memory; nil if none is known.
  public var oomKills: UInt64?
  public var failure: Failure?
  /// Descriptions of invalid fields in its records.
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

/// A durable checkpoint. Recorded only after its files are durable.
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
  /// Its damage; nil if none is known.
  public var damage: String?
  /// When it was last read in full and its digest matched.
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

/// An event, as a message and as fields.
public struct EventRecord: Hashable, Sendable, Codable {
  /// Assigned by the store when it is written.
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

/// What the supervisor is doing; key `live` in `meta`. Its lock shows whether it is still running.
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
  /// What the trainer waits for, with progress.
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
