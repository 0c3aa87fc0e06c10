import Reporting
public import TrainerProtocol
public import Vocabulary

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
  /// Checkpoints of its own that were adopted; nil: none.
  public var adopted: UInt64?
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
