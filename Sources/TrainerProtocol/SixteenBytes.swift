import POSIX
import Reporting

/// A permanent identifier of sixteen bytes.
public protocol SixteenBytes: Hashable, Sendable, Codable, CustomStringConvertible {
  var high: UInt64 { get }
  var low: UInt64 { get }
  init(high: UInt64, low: UInt64)
}

extension SixteenBytes {
  /// A random identifier from the kernel's generator.
  public init() {
    var generator = SystemRandomNumberGenerator()
    self.init(high: generator.next(), low: generator.next())
  }

  /// The 32 hexadecimal digits, with or without dashes.
  public init?(_ text: String) {
    let digits = text.filter { $0 != "-" }
    guard digits.utf8.count == 32, digits.allSatisfy(\.isHexDigit),
      let high = UInt64(digits.prefix(16), radix: 16), let low = UInt64(digits.suffix(16), radix: 16)
    else { return nil }
    self.init(high: high, low: low)
  }

  /// The first byte is the most significant of `high`.
  init(at pointer: UnsafeRawPointer) {
    self.init(
      high: UInt64(bigEndian: pointer.loadUnaligned(as: UInt64.self)),
      low: UInt64(bigEndian: pointer.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
  }

  func store(at pointer: UnsafeMutableRawPointer) {
    pointer.storeBytes(of: high.bigEndian, as: UInt64.self)
    pointer.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
  }

  /// 32 lower-case hexadecimal digits.
  public var hexadecimal: String { high.hexadecimal + low.hexadecimal }

  public var description: String { hexadecimal }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let value = Self(text) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "not 32 hexadecimal digits")
    }
    self = value
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
