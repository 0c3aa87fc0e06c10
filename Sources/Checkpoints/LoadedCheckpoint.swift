import POSIX

/// A checkpoint to restore from. Its file stays mapped for as long as this lives.
public struct LoadedCheckpoint: Sendable {
  public let manifest: Manifest
  let mapping: MappedFile

  /// Whether the file was whole all the time that it was used. If not, what was read counts for nothing.
  public var isIntact: Bool { mapping.isIntact }

  /// Gives `body` the image; the bytes end with the call.
  public func withImage<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    defer { withExtendedLifetime(mapping) {} }
    return try body(mapping.bytes)
  }
}
