/// A checkpoint that is durable.
public struct PublishedCheckpoint: Hashable, Sendable {
  public var name: String
  public var manifest: Manifest
  /// All its files together.
  public var bytes: UInt64
  public var sha256: String
}
