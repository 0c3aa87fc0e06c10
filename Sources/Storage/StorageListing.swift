/// What a storage contains.
public struct StorageListing: Hashable, Sendable {
  /// Complete checkpoints, by key.
  public var checkpoints: [StoredCheckpoint]
  /// Keys with files but without a manifest: of saves in progress, perhaps on another machine, or interrupted ones.
  public var unfinished: [StorageKey]

  public init(checkpoints: [StoredCheckpoint] = [], unfinished: [StorageKey] = []) {
    self.checkpoints = checkpoints
    self.unfinished = unfinished
  }
}
