import Reporting
public import TrainerProtocol

/// One change of the store, applied by the writer in the order of submission.
public struct StoreOperation: Sendable {
  enum Target: Sendable { case checkpoints, attempts, events, meta }

  let target: Target
  /// Empty for events, which the writer numbers.
  let key: [UInt8]
  /// nil to delete.
  let value: [UInt8]?

  public static func attempt(_ record: AttemptRecord) -> StoreOperation {
    .init(target: .attempts, key: Key.number(record.attempt), value: JSON.encode(record))
  }

  public static func checkpoint(_ record: CheckpointRecord) -> StoreOperation {
    let key = Key.checkpoint(step: record.step, cut: record.cut)
    return .init(target: .checkpoints, key: key, value: JSON.encode(record))
  }

  public static func removeCheckpoint(_ record: CheckpointRecord) -> StoreOperation {
    .init(target: .checkpoints, key: Key.checkpoint(step: record.step, cut: record.cut), value: nil)
  }

  public static func event(_ record: EventRecord) -> StoreOperation {
    .init(target: .events, key: [], value: JSON.encode(record))
  }

  /// A JSON document in `meta`.
  public static func document(_ key: String, _ value: some Encodable) -> StoreOperation {
    .init(target: .meta, key: Array(key.utf8), value: JSON.encode(value))
  }

  public static func job(_ record: JobRecord) -> StoreOperation { document("job", record) }
  public static func live(_ record: LiveRecord) -> StoreOperation { document(liveKey, record) }
  private static let liveKey = "live"

  /// Whether it changes the live record, which is only for readers.
  var isLive: Bool { target == .meta && key == Array(Self.liveKey.utf8) }

  public static func deviation(_ deviation: Deviation) -> StoreOperation {
    document(JobStore.deviationKey, deviation)
  }
}

/// A report of records that were read from a ring.
public struct Drained: Sendable {
  /// A record of the trainer other than snapshots, in order.
  public enum Control: Sendable {
    case attached(Attached)
    case staged(Staged)
    case failure(Failure)
    case finished(Staged)
    case metricNames([String])
  }

  public struct Newest: Sendable {
    public var step: UInt64
    public var epoch: UInt64
    public var batch: UInt64
    public var metrics: [Double]
    public var timeNs: UInt64
  }

  public var attempt: UInt64
  public var snapshots: UInt64 = 0
  public var firstStep: UInt64?
  public var firstStepAtNs: UInt64?
  public var newest: Newest?
  public var controls: [Control] = []
  /// Invalid fields in the records.
  public var problems: [RecordProblem] = []
  public var audit = ReplayAudit()
  public var stepDurations = StepDurations()
  public var heartbeat: UInt64 = 0
  /// Records that the trainer dropped because the ring was full.
  public var skipped: UInt64 = 0
  /// The newest answer from the ring's header; nil if its record may still be in the ring.
  public var acknowledged: Acknowledgement?
}

public enum StoreReport: Sendable {
  case drained(Drained)
  /// The store cannot be written. Changes are kept in memory, up to a limit.
  case degraded(String)
  /// - droppedRecords: events and attempts.
  case recovered(droppedSnapshots: UInt64, droppedRecords: UInt64)
  /// The ring of this attempt was truncated and is no longer read.
  case ringLost(attempt: UInt64)
  /// The store may be older than what was reported as durable: it was damaged while open and was recovered
  /// or, without a repair, was overwritten by another program. Records must be submitted again.
  case replaced(StoreRepair?)
}

public struct StoreLimits: Sendable {
  /// Maximum rows of `snapshots`.
  public var snapshots = 16 << 20
  /// Maximum rows older than the oldest retained checkpoint.
  public var thinned = 1 << 16
  public var events: UInt64 = 100_000
  /// Maximum bytes of snapshots in memory while the store cannot be written.
  public var backlogBytes = 64 << 20
  /// Maximum ring records in one transaction.
  public var batch = 100_000

  public init() {}
}
