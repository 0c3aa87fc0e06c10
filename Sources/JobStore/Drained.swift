import Reporting
public import TrainerProtocol

/// A report of records that were read from a ring.
public struct Drained: Sendable {
  /// A record of the trainer other than snapshots, in order.
  public enum Control: Sendable {
    case attached(Attached)
    case staged(Staged)
    case failure(Failure)
    case finished(Staged)
    case metricNames([String])
    case metrics(StepMetrics)
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
  /// Size of an image of the state; 0: unknown.
  public var stateBytes: UInt64 = 0
  /// Records that the trainer dropped because the ring was full.
  public var skipped: UInt64 = 0
  /// The newest answer from the ring's header; nil if its record may still be in the ring.
  public var acknowledged: Acknowledgement?
}
