import CGcrypt

/// A hash that storage services compute of their objects, by libgcrypt.
public final class ContentHash {
  /// Preferred first.
  public enum Algorithm: String, Sendable, CaseIterable {
    case md5, sha1, sha256

    fileprivate var code: CInt {
      switch self {
      case .md5: CInt(GCRY_MD_MD5.rawValue)
      case .sha1: CInt(GCRY_MD_SHA1.rawValue)
      case .sha256: CInt(GCRY_MD_SHA256.rawValue)
      }
    }
  }

  private let algorithm: Algorithm
  private let handle: gcry_md_hd_t

  /// - Returns: nil if the algorithm is disabled, as MD5 in FIPS mode.
  public init?(_ algorithm: Algorithm) {
    SHA256.prepare()
    var handle: gcry_md_hd_t?
    guard gcry_md_open(&handle, algorithm.code, 0) == 0, let handle else { return nil }
    self.algorithm = algorithm
    self.handle = handle
  }

  deinit { gcry_md_close(handle) }

  public func update(_ bytes: UnsafeRawBufferPointer) {
    gcry_md_write(handle, bytes.baseAddress, bytes.count)
  }

  /// Returns lowercase hexadecimal digits. `update` must not be called afterwards.
  public func finish() -> String {
    guard let digest = gcry_md_read(handle, algorithm.code) else { return "" }
    let digits = Array("0123456789abcdef".utf8)
    let count = Int(gcry_md_get_algo_dlen(algorithm.code))
    let text = (0..<count).flatMap { [digits[Int(digest[$0] >> 4)], digits[Int(digest[$0] & 15)]] }
    return String(decoding: text, as: UTF8.self)
  }
}
