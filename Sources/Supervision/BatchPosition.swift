/// A place in the data: the epoch and the batches consumed in it.
public struct BatchPosition: Hashable, Sendable, Codable {
  public var epoch: UInt64
  public var batch: UInt64

  public init(epoch: UInt64, batch: UInt64) {
    self.epoch = epoch
    self.batch = batch
  }
}
