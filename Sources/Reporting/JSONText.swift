/// Writes JSON sequentially. All encoding of strings and numbers is here.
public struct JSONText {
  /// Which characters of a string are written as `\u` escapes.
  public enum Escaping: Sendable {
    /// Those that RFC 8259 requires.
    case required
    /// Also control and invisible characters (`VisibleText.isHidden`).
    case hidden
    /// Also all non-ASCII characters.
    case nonASCII
  }

  public let escaping: Escaping
  /// UTF-8.
  public private(set) var bytes: [UInt8] = []

  public init(escaping: Escaping = .required) { self.escaping = escaping }

  public var text: String { String(decoding: bytes, as: UTF8.self) }

  /// Appends `text` unchanged.
  public mutating func raw(_ text: StaticString) {
    bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  /// Appends `text` unchanged.
  public mutating func raw(_ text: String) { bytes.append(contentsOf: text.utf8) }

  public mutating func string(_ text: String) {
    var text = text
    if escaping == .required || Self.isPlain(text) {
      text.withUTF8 { string($0) }
    } else {
      var escaped: [UInt8] = []
      for scalar in text.unicodeScalars {
        if isEscaped(scalar) { escaped += Self.escape(scalar) } else { escaped += Self.utf8(scalar) }
      }
      quote(escaped)
    }
  }

  /// - Parameter text: UTF-8.
  public mutating func string(_ text: [UInt8]) {
    if escaping == .required {
      text.withUnsafeBufferPointer { string($0) }
    } else {
      string(String(decoding: text, as: UTF8.self))
    }
  }

  public mutating func integer(_ value: some BinaryInteger) { raw(String(value)) }

  /// Non-finite numbers are written as strings, as JSON has no literals for them.
  public mutating func number(_ value: Double) {
    if value.isNaN {
      raw("\"NaN\"")
    } else if value.isInfinite {
      raw(value < 0 ? "\"-Infinity\"" : "\"Infinity\"")
    } else {
      raw("\(value)")
    }
  }

  // MARK: Strings

  private mutating func quote(_ escaped: [UInt8]) {
    bytes.append(UInt8(ascii: "\""))
    bytes.append(contentsOf: escaped)
    bytes.append(UInt8(ascii: "\""))
  }

  /// Copies runs without escapes at once, as the trainer waits while an image header is written.
  private mutating func string(_ text: UnsafeBufferPointer<UInt8>) {
    bytes.append(UInt8(ascii: "\""))
    var begin = 0
    for (index, byte) in text.enumerated() {
      guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else { continue }
      bytes.append(contentsOf: text[begin..<index])
      begin = index + 1
      bytes.append(contentsOf: Self.escape(Unicode.Scalar(byte)))
    }
    bytes.append(contentsOf: text[begin...])
    bytes.append(UInt8(ascii: "\""))
  }

  private static func isPlain(_ text: String) -> Bool {
    text.utf8.allSatisfy { 0x20..<0x7f ~= $0 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
  }

  private func isEscaped(_ scalar: Unicode.Scalar) -> Bool {
    scalar == "\"" || scalar == "\\" || VisibleText.isHidden(scalar)
      || escaping == .nonASCII && !scalar.isASCII
  }

  private static func utf8(_ scalar: Unicode.Scalar) -> [UInt8] { Array(String(scalar).utf8) }

  private static func escape(_ scalar: Unicode.Scalar) -> [UInt8] {
    switch scalar {
    case "\"": Array("\\\"".utf8)
    case "\\": Array("\\\\".utf8)
    case "\n": Array("\\n".utf8)
    case "\t": Array("\\t".utf8)
    case "\r": Array("\\r".utf8)
    default: String(scalar).utf16.flatMap { Array("\\u\($0.hexadecimal)".utf8) }
    }
  }
}
