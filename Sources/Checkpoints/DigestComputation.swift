/// Computes the digest of bytes that arrive in pieces.
public final class DigestComputation {
  private enum State {
    case xxh128(XXH128)
    case sha256(SHA256)
  }

  private let state: State

  public init(_ algorithm: Digest.Algorithm = .current) {
    state =
      switch algorithm {
      case .xxh128: .xxh128(XXH128())
      case .sha256: .sha256(SHA256())
      }
  }

  public func update(_ bytes: UnsafeRawBufferPointer) {
    switch state {
    case .xxh128(let digest): digest.update(bytes)
    case .sha256(let digest): digest.update(bytes)
    }
  }

  /// `update` must not be called afterwards.
  public func finish() -> Digest {
    switch state {
    case .xxh128(let digest): Digest(.xxh128, digest.finish())
    case .sha256(let digest): Digest(.sha256, digest.finish())
    }
  }
}
