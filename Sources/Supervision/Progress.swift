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
