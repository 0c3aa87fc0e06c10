/// A copy of a checkpoint at the remote storage. It may outlive the checkpoint, which local retention removes.
public struct RemoteCopy: Hashable, Sendable, Codable {
  /// Name in `meta` of those that are known to be there, in the order in which they were stored.
  public static let document = "remote_copies"

  /// At the storage: `attempt-4-1f3a9c27/step-48700`.
  public var key: String
  /// Of the checkpoint, as it was when it had been stored.
  public var checkpoint: CheckpointRecord

  public init(key: String, checkpoint: CheckpointRecord) {
    self.key = key
    self.checkpoint = checkpoint
  }
}
