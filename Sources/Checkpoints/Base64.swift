/// RFC 4648, standard alphabet, padded.
public enum Base64 {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  private static let padding = UInt8(ascii: "=")

  public static func encode(_ bytes: [UInt8]) -> String {
    let count = (bytes.count + 2) / 3 * 4
    return String(unsafeUninitializedCapacity: count) { text in
      alphabet.withUnsafeBufferPointer { alphabet in
        var next = 0
        for start in stride(from: 0, to: bytes.count, by: 3) {
          let left = bytes.count - start
          let second = left > 1 ? bytes[start + 1] : 0
          let third = left > 2 ? bytes[start + 2] : 0
          text[next] = alphabet[Int(bytes[start] >> 2)]
          text[next + 1] = alphabet[Int((bytes[start] & 3) << 4 | second >> 4)]
          text[next + 2] = left > 1 ? alphabet[Int((second & 15) << 2 | third >> 6)] : padding
          text[next + 3] = left > 2 ? alphabet[Int(third & 63)] : padding
          next += 4
        }
      }
      return count
    }
  }

  /// - Returns: nil if `text` is not valid base64.
  public static func decode(_ text: String) -> [UInt8]? {
    var digits = Array(text.utf8)
    guard digits.count % 4 == 0 else { return nil }
    let padded = digits.reversed().prefix { $0 == padding }.count
    guard padded <= 2 else { return nil }
    digits.removeLast(padded)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(digits.count * 3 / 4)
    var word: UInt32 = 0
    for (index, digit) in digits.enumerated() {
      guard let value = value(of: digit) else { return nil }
      word = word << 6 | value
      // All but the first of four digits complete a byte.
      if index % 4 != 0 { bytes.append(UInt8(truncatingIfNeeded: word >> [0, 4, 2, 0][index % 4])) }
    }
    return bytes
  }

  private static func value(of digit: UInt8) -> UInt32? {
    switch digit {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(digit - UInt8(ascii: "A"))
    case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(digit - UInt8(ascii: "a")) + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(digit - UInt8(ascii: "0")) + 52
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
  }
}
