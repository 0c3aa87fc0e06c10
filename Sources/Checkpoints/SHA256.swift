import CGcrypt

/// SHA-256, by libgcrypt.
public final class SHA256 {
  private let handle: gcry_md_hd_t?

  private static let isReady: Bool = {
    gcry_check_version(nil)
    // No secrets here: without this libgcrypt locks memory for them.
    hf_gcrypt_initialize()
    return true
  }()

  /// Makes libgcrypt ready. Its first use opens files, and aborts the process where it cannot: whoever may run
  /// out of descriptors later does this at the start.
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

  /// 64 lowercase hexadecimal digits of everything so far. Nothing may be added afterwards.
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

  /// In words, for whoever compares two by eye.
  public static func mismatch(_ found: String, _ expected: String) -> String {
    "digest \(found.prefix(12))…, expected \(expected.prefix(12))…"
  }
}
