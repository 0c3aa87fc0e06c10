/// A value of a configuration file, independent of the parser.
public indirect enum Node: Hashable, Sendable {
  case string(String)
  case integer(Int)
  case real(Double)
  case boolean(Bool)
  /// A date, a time, or both; no setting takes one.
  case date
  case array([Node])
  case table([String: Node])

  /// Its kind, for an error message.
  var kind: String {
    switch self {
    case .string: "a string"
    case .integer(let value): "the number \(value)"
    case .real(let value): "the number \(value)"
    case .boolean(let value): "the word \(value)"
    case .date: "a date"
    case .array: "an array"
    case .table: "a section"
    }
  }

  /// As TOML, on one line.
  public var toml: String {
    switch self {
    case .string(let text): Self.quote(text)
    case .integer(let value): "\(value)"
    case .real(let value): "\(value)"
    case .boolean(let value): "\(value)"
    case .date: "\"\""
    case .array(let nodes): "[" + nodes.map(\.toml).joined(separator: ", ") + "]"
    case .table(let entries):
      entries.isEmpty
        ? "{}"
        : "{ "
          + entries.sorted { $0.key < $1.key }.map { "\(Self.key($0)) = \($1.toml)" }
          .joined(separator: ", ") + " }"
    }
  }

  /// A key, quoted if necessary.
  public static func key(_ name: String) -> String {
    let isBare =
      !name.isEmpty
      && name.utf8.allSatisfy { byte in
        byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
          || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
          || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
      }
    return isBare ? name : quote(name)
  }

  private static func quote(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case "\n": quoted += "\\n"
      case "\t": quoted += "\\t"
      case "\r": quoted += "\\r"
      case _ where scalar.value < 0x20 || scalar.value == 0x7f:
        let digits = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
