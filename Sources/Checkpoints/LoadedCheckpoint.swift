import POSIX

/// A checkpoint to restore from. Its file stays mapped during the lifetime of this value.
public struct LoadedCheckpoint: Sendable {
  public let manifest: Manifest
  let mapping: MappedFile

  /// Whether the file was never truncated while mapped. If it was, discard what was read.
  public var isIntact: Bool { mapping.isIntact }

  /// Calls `body` with the image, which is valid only during the call.
  public func withImage<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    defer { withExtendedLifetime(mapping) {} }
    return try body(mapping.bytes)
  }
}
