public import SystemPackage

/// Storage for published checkpoints: directories with a manifest and digests, each stored under a key.
///
/// A checkpoint is listed only after all of it was stored and found intact at its destination. Calls block until they
/// succeed, fail or are cancelled, and may be made on any thread. Programs that they run end before they return.
public protocol CheckpointStorage: Sendable {
  /// Its place, for messages. Without credentials.
  var name: String { get }

  /// Stores the checkpoint in the directory `source`. What is stored already is not transferred again: the rest of an
  /// interrupted save is, and nothing of a complete one. Another checkpoint under this key is replaced.
  /// - Throws: `damaged` if the source is damaged, or the storage does not contain what was sent to it.
  func save(
    _ source: FilePath, as key: StorageKey, _ transfer: Transfer
  ) throws(StorageError)

  /// Loads a checkpoint into the new directory `destination`. It exists only after its files were found intact and
  /// became durable. What an interrupted load left beside it is used if possible.
  /// - Throws: `missing`; `damaged` if the files are not those of its manifest.
  func load(
    _ key: StorageKey, into destination: FilePath, _ transfer: Transfer
  ) throws(StorageError)

  func list(isCancelled: @escaping Transfer.Cancellation) throws(StorageError) -> StorageListing

  /// Removes a complete or unfinished checkpoint. It is unlisted before its first file is removed. It is not an error
  /// if there is none.
  func remove(_ key: StorageKey, isCancelled: @escaping Transfer.Cancellation) throws(StorageError)
}
