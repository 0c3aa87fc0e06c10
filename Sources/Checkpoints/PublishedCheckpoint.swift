/// A checkpoint that is durable.
public struct PublishedCheckpoint: Hashable, Sendable {
  public var name: String
  public var manifest: Manifest
  /// Size of all files.
  public var bytes: UInt64
  /// Of the image.
  public var digest: Digest
}
