/// A request that is in the ring when the trainer starts.
public struct FirstRequest: Hashable, Sendable {
  public var sequence: UInt64
  public var slot: Int
  public var target: SaveTarget
}
