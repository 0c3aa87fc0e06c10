/// How a transfer reports its progress and is cancelled.
public struct Transfer: Sendable {
  public struct Progress: Hashable, Sendable {
    /// Bytes of the checkpoint that are transferred, or were already there.
    public var completedBytes: UInt64
    /// Size of all files.
    public var totalBytes: UInt64

    public init(completedBytes: UInt64, totalBytes: UInt64) {
      self.completedBytes = completedBytes
      self.totalBytes = totalBytes
    }
  }

  /// Whether to stop. Called several times a second, on any thread.
  public typealias Cancellation = @Sendable () -> Bool

  /// Called at most once at a time, on any thread. The completed bytes never decrease; the bytes of a repeated part
  /// count once.
  public var progress: @Sendable (Progress) -> Void
  public var isCancelled: Cancellation

  public init(
    progress: @escaping @Sendable (Progress) -> Void = { _ in },
    isCancelled: @escaping Cancellation = { false }
  ) {
    self.progress = progress
    self.isCancelled = isCancelled
  }
}
