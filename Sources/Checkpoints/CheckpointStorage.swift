/// Storage for published checkpoints.
public protocol CheckpointStorage: Sendable {
  func publish(
    image: UnsafeRawBufferPointer, _ manifest: Manifest, isIntact: @Sendable () -> Bool,
    isCancelled: @Sendable () -> Bool, expected: @Sendable () -> String?
  ) throws(CheckpointError) -> PublishedCheckpoint
  func names() throws(CheckpointError) -> [String]
  func verify(_ name: String, thorough: Bool) -> Verdict
  func remove(_ name: String) throws(CheckpointError)
}
