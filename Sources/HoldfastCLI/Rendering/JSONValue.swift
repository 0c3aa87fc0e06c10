import Glibc
import POSIX

/// A JSON document that is about to be printed: keys in the order of the alphabet, no NaN.
indirect enum JSONValue {
  case null
  case bool(Bool)
  case integer(Int64)
  case real(Double)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  static func count(_ value: UInt64) -> JSONValue { .integer(Int64(clamping: value)) }
  static func optional(_ value: UInt64?) -> JSONValue { value.map(JSONValue.count) ?? .null }
  static func optional(_ value: Int32?) -> JSONValue { value.map { .integer(Int64($0)) } ?? .null }
  static func optional(_ value: String?) -> JSONValue { value.map(JSONValue.string) ?? .null }
  static func optional(_ value: Double?) -> JSONValue { value.map(JSONValue.real) ?? .null }

  /// On one line.
  /// - Parameter isASCII: whether all else is to be written in escapes.
  func text(isASCII: Bool = false) -> String {
    var text = ""
    write(to: &text, isASCII)
    return text
  }

  private func write(to text: inout String, _ isASCII: Bool) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .integer(let value): text += "\(value)"
    case .real(let value): text += Self.number(value)
    case .string(let value): Self.quote(value, to: &text, isASCII)
    case .array(let values):
      text += "["
      for (index, value) in values.enumerated() {
        if index > 0 { text += "," }
        value.write(to: &text, isASCII)
      }
      text += "]"
    case .object(let members):
      text += "{"
      for (index, key) in members.keys.sorted().enumerated() {
        if index > 0 { text += "," }
        Self.quote(key, to: &text, isASCII)
        text += ":"
        members[key]?.write(to: &text, isASCII)
      }
      text += "}"
    }
  }

  /// JSON has no literal for what is not finite.
  private static func number(_ value: Double) -> String {
    if value.isNaN { return "\"NaN\"" }
    if value.isInfinite { return value < 0 ? "\"-Infinity\"" : "\"Infinity\"" }
    return "\(value)"
  }

  private static func quote(_ value: String, to text: inout String, _ isASCII: Bool) {
    text += "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\t": text += "\\t"
      case "\r": text += "\\r"
      // A terminal may be where it goes.
      case _ where VisibleText.isHidden(scalar) || isASCII && !scalar.isASCII:
        for unit in String(scalar).utf16 {
          let digits = String(unit, radix: 16)
          text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}
