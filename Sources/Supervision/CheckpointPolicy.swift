public import Vocabulary

/// When checkpoints become durable, which are kept, and their names. A job has one, and may have more beside it.
public struct CheckpointPolicy: Hashable, Sendable, Codable {
  /// At the ends of which epochs a checkpoint is saved.
  public enum Epochs: Hashable, Sendable, Codable {
    case none
    /// Of every epoch, unless epochs are so short that this would slow down the trainer or keep the disk busy.
    case automatic
    /// Of each epoch whose number, from 1, is a multiple; at least 1.
    case every(UInt64)
  }

  /// Which value of the monitored metric is the best.
  public enum Mode: String, Hashable, Sendable, Codable, CaseIterable {
    case min, max
  }

  /// Longest time between checkpoints; nil: none.
  public var interval: Duration?
  /// Save after each step whose number is a multiple; nil: none.
  public var everySteps: UInt64?
  public var epochs = Epochs.none
  /// Which moment is the end of an epoch.
  public var epochEnd = EpochEnd.validation

  /// Number of the newest checkpoints to keep.
  public var keepLast: Int?
  /// Number of the checkpoints with the best values of `monitor` to keep.
  public var keepBest = 0
  /// Name of a metric.
  public var monitor: String?
  public var mode = Mode.min
  /// Keep each checkpoint whose step is a multiple; nil: none.
  public var keepEverySteps: UInt64?
  /// For this number of days that have a checkpoint, keep the newest one of the day.
  public var keepDaily = 0

  /// Template of the names of its checkpoints; nil: `step-` and the step.
  public var nameTemplate: String?
  /// Whether a name contains `name=value` or only the value.
  public var insertsMetricNames = true

  // nil in the documents of earlier versions.
  private var onlyWeights: Bool?
  /// Whether its checkpoints contain only components that are tensors alone, such as a model. No attempt starts from
  /// one of them.
  public var weightsOnly: Bool {
    get { onlyWeights ?? false }
    set { onlyWeights = newValue ? true : nil }
  }

  public init() {}

  public static let defaultInterval = Duration.seconds(600)
  public static let defaultKeepLast = 2

  /// Without any configuration: a resume after a power loss must cost little.
  public static let initial: CheckpointPolicy = {
    var policy = CheckpointPolicy()
    policy.interval = defaultInterval
    policy.epochs = .automatic
    return policy
  }()

  /// `keepLast`, or its default.
  public var keptLast: Int {
    keepLast ?? (keepBest > 0 || keepDaily > 0 || keepEverySteps != nil ? 0 : Self.defaultKeepLast)
  }

  /// What of it applies to copies of the trainer's own files, which have no steps and metrics.
  public var forCopies: CheckpointPolicy {
    var policy = CheckpointPolicy.initial
    (policy.keepLast, policy.keepDaily) = (keepLast, keepDaily)
    return policy
  }

  /// The reasons for which this policy saves checkpoints.
  public var reasons: Set<CheckpointReason> {
    var reasons: Set<CheckpointReason> = []
    if let interval { reasons.insert(.interval(interval)) }
    if let everySteps { reasons.insert(.steps(everySteps)) }
    switch epochs {
    case .none: break
    case .automatic: reasons.insert(.epochs(1))
    case .every(let count): reasons.insert(.epochs(count))
    }
    return reasons
  }
}
