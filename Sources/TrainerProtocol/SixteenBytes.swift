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
    var (high, low, count) = (UInt64(0), UInt64(0), 0)
    for byte in text.utf8 where byte != UInt8(ascii: "-") {
      let digit: UInt8
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
      default: return nil
      }
      high = high << 4 | low >> 60
      low = low << 4 | UInt64(digit)
      count += 1
    }
    guard count == 32 else { return nil }
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
