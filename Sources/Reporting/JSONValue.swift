/// A JSON document.
public indirect enum JSONValue: Hashable, Sendable {
  case null
  case bool(Bool)
  case integer(Int64)
  /// Above `Int64.max`.
  case unsigned(UInt64)
  case real(Double)
  case string(String)
  case array([JSONValue])
  /// Written in the order of the keys.
  case object([String: JSONValue])

  // MARK: Making one

  public static func count(_ value: UInt64) -> JSONValue {
    Int64(exactly: value).map(JSONValue.integer) ?? .unsigned(value)
  }
  public static func optional(_ value: UInt64?) -> JSONValue { value.map(JSONValue.count) ?? .null }
  public static func optional(_ value: Int32?) -> JSONValue { value.map { .integer(Int64($0)) } ?? .null }
  public static func optional(_ value: String?) -> JSONValue { value.map(JSONValue.string) ?? .null }
  public static func optional(_ value: Double?) -> JSONValue { value.map(JSONValue.real) ?? .null }

  /// On one line.
  public func text(escaping: JSONText.Escaping = .hidden) -> String {
    var json = JSONText(escaping: escaping)
    write(to: &json)
    return json.text
  }

  public func write(to json: inout JSONText) {
    switch self {
    case .null: json.raw("null")
    case .bool(let value): json.raw(value ? "true" : "false")
    case .integer(let value): json.integer(value)
    case .unsigned(let value): json.integer(value)
    case .real(let value): json.number(value)
    case .string(let value): json.string(value)
    case .array(let values):
      json.raw("[")
      for (index, value) in values.enumerated() {
        if index > 0 { json.raw(",") }
        value.write(to: &json)
      }
      json.raw("]")
    case .object(let members):
      json.raw("{")
      for (index, key) in members.keys.sorted().enumerated() {
        if index > 0 { json.raw(",") }
        json.string(key)
        json.raw(":")
        members[key]?.write(to: &json)
      }
      json.raw("}")
    }
  }

  // MARK: Reading one

  public var object: [String: JSONValue]? { if case .object(let members) = self { members } else { nil } }
  public var array: [JSONValue]? { if case .array(let elements) = self { elements } else { nil } }
  public var string: String? { if case .string(let text) = self { text } else { nil } }

  public var number: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .unsigned(let value): Double(value)
    case .real(let value): value
    default: nil
    }
  }

  /// A count or an offset.
  public var count: Int? { if case .integer(let value) = self, value >= 0 { Int(value) } else { nil } }

  public var counter: UInt64? {
    switch self {
    case .integer(let value) where value >= 0: UInt64(value)
    case .unsigned(let value): value
    default: nil
    }
  }
}

extension JSONValue {
  /// With non-finite numbers as text in Swift's spelling, as `Codable` writes them.
  var writable: JSONValue {
    switch self {
    case .real(let value) where !value.isFinite: .string("\(value)")
    case .array(let elements): .array(elements.map(\.writable))
    case .object(let members): .object(members.mapValues(\.writable))
    default: self
    }
  }

  /// Writes objects and arrays over several lines, except empty ones.
  public func writeIndented(to json: inout JSONText, by indent: Int = 0) {
    let margin = String(repeating: " ", count: indent + 2)
    func close(_ bracket: StaticString) {
      json.raw("\n" + String(repeating: " ", count: indent))
      json.raw(bracket)
    }
    switch self {
    case .array(let values) where !values.isEmpty:
      json.raw("[")
      for (index, value) in values.enumerated() {
        json.raw((index > 0 ? ",\n" : "\n") + margin)
        value.writeIndented(to: &json, by: indent + 2)
      }
      close("]")
    case .object(let members) where !members.isEmpty:
      json.raw("{")
      for (index, key) in members.keys.sorted().enumerated() {
        json.raw((index > 0 ? ",\n" : "\n") + margin)
        json.string(key)
        json.raw(" : ")
        members[key]?.writeIndented(to: &json, by: indent + 2)
      }
      close("}")
    default: write(to: &json)
    }
  }
}
