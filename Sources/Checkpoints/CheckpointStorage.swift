/// Storage for published checkpoints.
public protocol CheckpointStorage: Sendable {
  func publish(
    image: UnsafeRawBufferPointer, _ manifest: Manifest, name: String?, isIntact: @Sendable () -> Bool,
    isCancelled: @Sendable () -> Bool, expected: @Sendable () -> String?
  ) throws(CheckpointError) -> PublishedCheckpoint
  func names() throws(CheckpointError) -> [String]
  func verify(_ name: String, thorough: Bool) -> Verdict
  /// Makes the link `last` name this checkpoint.
  func pointLast(to name: String) throws(CheckpointError)
  func remove(_ name: String) throws(CheckpointError)
}
