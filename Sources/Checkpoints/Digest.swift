/// A digest of a file or an image, which shows that it was damaged. It does not show that someone changed it on
/// purpose: XXH3 is not a cryptographic hash.
public struct Digest: Hashable, Sendable {
  public enum Algorithm: String, Sendable, CaseIterable {
    /// XXH3 with 128 bits, as `xxh128sum` prints it.
    case xxh128
    /// Of checkpoints by older versions.
    case sha256

    /// For what is written now.
    public static let current = Algorithm.xxh128

    var hexadecimalDigits: Int {
      switch self {
      case .xxh128: 32
      case .sha256: 64
      }
    }

    /// The file with the digests of a checkpoint's other files, which the tool of that name checks.
    var sumsName: String {
      switch self {
      case .xxh128: "XXH128SUMS"
      case .sha256: "SHA256SUMS"
      }
    }
  }

  public var algorithm: Algorithm
  /// Lowercase digits.
  public var hexadecimal: String

  public init(_ algorithm: Algorithm, _ hexadecimal: String) {
    self.algorithm = algorithm
    self.hexadecimal = hexadecimal
  }

  /// From the fields of a JSON document.
  /// - Parameters:
  ///   - digest, algorithm: nil in documents of older versions.
  ///   - sha256: nil in newer ones.
  /// - Returns: nil without a digest, or with one of an unknown algorithm.
  public init?(digest: String?, algorithm: String?, sha256: String?) {
    if let digest, let algorithm = algorithm.flatMap(Algorithm.init) {
      self.init(algorithm, digest)
    } else if digest == nil, let sha256 {
      self.init(.sha256, sha256)
    } else {
      return nil
    }
  }

  /// Computes the digest.
  public init(of bytes: UnsafeRawBufferPointer, _ algorithm: Algorithm = .current) {
    let computation = DigestComputation(algorithm)
    computation.update(bytes)
    self = computation.finish()
  }

  /// Computes the digest.
  public init(of bytes: [UInt8], _ algorithm: Algorithm = .current) {
    self = bytes.withUnsafeBytes { Digest(of: $0, algorithm) }
  }

  /// Describes how this digest, which was found, differs.
  public func mismatch(_ expected: Digest) -> String {
    "digest \(hexadecimal.prefix(12))…, expected \(expected.hexadecimal.prefix(12))…"
  }
}
