import CXXHash

/// XXH3 with 128 bits, by libxxhash: as fast as memory, where SHA-256 needs half a second per GiB.
final class XXH128 {
  private let state: OpaquePointer

  init() {
    guard let state = XXH3_createState() else { preconditionFailure("out of memory") }
    self.state = state
    XXH3_128bits_reset(state)
  }

  deinit { XXH3_freeState(state) }

  func update(_ bytes: UnsafeRawBufferPointer) {
    XXH3_128bits_update(state, bytes.baseAddress, bytes.count)
  }

  /// Returns 32 lowercase hexadecimal digits in the canonical order, as `xxh128sum` prints them.
  func finish() -> String {
    var canonical = XXH128_canonical_t()
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state))
    let digits = Array("0123456789abcdef".utf8)
    return withUnsafeBytes(of: canonical) { bytes in
      String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
  }
}
