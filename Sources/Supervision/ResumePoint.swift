public import Vocabulary

/// What an attempt starts from.
public enum ResumePoint: Hashable, Sendable {
  case beginning
  case checkpoint(level: Level, step: UInt64)

  /// nil: the beginning.
  public var level: Level? {
    switch self {
    case .beginning: nil
    case .checkpoint(let level, _): level
    }
  }

  /// The step at which the attempt resumes.
  public var step: UInt64 {
    switch self {
    case .beginning: 0
    case .checkpoint(_, let step): step
    }
  }
}

/// A place in the data: the epoch and the batches consumed in it.
public struct BatchPosition: Hashable, Sendable, Codable {
  public var epoch: UInt64
  public var batch: UInt64

  public init(epoch: UInt64, batch: UInt64) {
    self.epoch = epoch
    self.batch = batch
  }
}

/// The newest recorded step, and the position of the loop after it. The values come from the trainer and may be any
/// number: arithmetic on them must not trap.
public struct Progress: Hashable, Sendable {
  public var step: UInt64
  public var position: BatchPosition
  /// Batches in an epoch, where the trainer declared them.
  public var batchesPerEpoch: UInt64?

  public init(step: UInt64, position: BatchPosition, batchesPerEpoch: UInt64? = nil) {
    self.step = step
    self.position = position
    self.batchesPerEpoch = batchesPerEpoch
  }

  /// The batch that was in progress after the newest recorded step.
  public var nextBatch: BatchPosition {
    if let batchesPerEpoch, position.batch >= batchesPerEpoch {
      return BatchPosition(epoch: position.epoch &+ 1, batch: 0)
    }
    return position
  }
}
