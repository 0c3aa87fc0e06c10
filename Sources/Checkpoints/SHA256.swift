import CGcrypt

/// SHA-256, by libgcrypt.
public final class SHA256 {
  private let handle: gcry_md_hd_t?

  private static let isReady: Bool = {
    gcry_check_version(nil)
    // Otherwise libgcrypt locks memory for secrets, which are not needed here.
    hf_gcrypt_initialize()
    return true
  }()

  /// Initializes libgcrypt. Its first use opens files and aborts the process if that fails, so call this at
  /// start, before descriptors can run out.
  public static func prepare() { _ = hex([]) }

  public init() {
    precondition(Self.isReady)
    var handle: gcry_md_hd_t?
    let code = gcry_md_open(&handle, Int32(GCRY_MD_SHA256.rawValue), 0)
    precondition(code == 0, "libgcrypt has no SHA-256")
    self.handle = handle
  }

  deinit { gcry_md_close(handle) }

  public func update(_ bytes: UnsafeRawBufferPointer) {
    gcry_md_write(handle, bytes.baseAddress, bytes.count)
  }

  /// Returns 64 lowercase hexadecimal digits. `update` must not be called afterwards.
  public func finish() -> String {
    guard let digest = gcry_md_read(handle, Int32(GCRY_MD_SHA256.rawValue)) else { return "" }
    let digits = Array("0123456789abcdef".utf8)
    let text = (0..<32).flatMap { [digits[Int(digest[$0] >> 4)], digits[Int(digest[$0] & 15)]] }
    return String(decoding: text, as: UTF8.self)
  }

  public static func hex(_ bytes: UnsafeRawBufferPointer) -> String {
    let digest = SHA256()
    digest.update(bytes)
    return digest.finish()
  }

  public static func hex(_ bytes: [UInt8]) -> String { bytes.withUnsafeBytes { hex($0) } }
}
