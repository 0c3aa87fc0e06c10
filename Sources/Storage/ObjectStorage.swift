/// Storage for small objects beside the checkpoints, such as a heartbeat and a job's history.
public protocol ObjectStorage: Sendable {
  /// Replaces the object and reads it back. Remote filesystems without atomic writes, such as SFTP, may show a reader
  /// a part of it.
  /// - Parameter bytes: not empty.
  /// - Throws: `damaged` if another object is read back.
  func write(
    _ bytes: [UInt8], as key: StorageKey, isCancelled: @escaping Transfer.Cancellation
  ) throws(StorageError)

  /// - Returns: nil if there is none.
  func read(
    _ key: StorageKey, isCancelled: @escaping Transfer.Cancellation
  ) throws(StorageError) -> [UInt8]?

  /// Keys of all objects.
  func objects(isCancelled: @escaping Transfer.Cancellation) throws(StorageError) -> [StorageKey]

  /// It is not an error if there is none.
  func removeObject(_ key: StorageKey, isCancelled: @escaping Transfer.Cancellation) throws(StorageError)
}
