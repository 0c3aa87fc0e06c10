/// What a storage contains.
public struct StorageListing: Hashable, Sendable {
  /// Complete checkpoints, by key.
  public var checkpoints: [StoredCheckpoint]
  /// Keys with files but without a manifest: of saves in progress, perhaps on another machine, or interrupted ones.
  public var unfinished: [StorageKey]

  /// Complete checkpoints, oldest first; those of the same step by key.
  public var checkpointsByStep: [StoredCheckpoint] {
    checkpoints.sorted { ($0.step ?? 0, $0.key) < ($1.step ?? 0, $1.key) }
  }

  public init(checkpoints: [StoredCheckpoint] = [], unfinished: [StorageKey] = []) {
    self.checkpoints = checkpoints
    self.unfinished = unfinished
  }
}
