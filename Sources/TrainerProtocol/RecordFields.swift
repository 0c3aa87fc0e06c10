import FoundationEssentials
import Reporting

/// The fields of a JSON record, read one by one: an invalid field does not affect the others.
struct RecordFields {
  /// A value of any type.
  enum Value: Decodable {
    case null
    case bool(Bool)
    case integer(Int64)
    case real(Double)
    case string(String)
    /// A number beyond Int64.
    case large(UInt64)
    case array([Value])
    case object([String: Value])

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if container.decodeNil() {
        self = .null
      } else if let values = try? container.decode([String: Value].self) {
        self = .object(values)
      } else if let values = try? container.decode([Value].self) {
        self = .array(values)
      } else if (try? container.decode(Int64.self)) == nil, let value = try? container.decode(UInt64.self) {
        self = .large(value)
      } else {
        self = try Self.single(container)
      }
    }

    private static func single(_ container: any SingleValueDecodingContainer) throws -> Value {
      if let value = try? container.decode(Bool.self) { return .bool(value) }
      if let value = try? container.decode(Int64.self) { return .integer(value) }
      if let value = try? container.decode(Double.self) { return .real(value) }
      return .string(try container.decode(String.self))
    }

    fileprivate var json: JSONValue {
      switch self {
      case .null: .null
      case .bool(let value): .bool(value)
      case .integer(let value): .integer(value)
      case .real(let value): .real(value)
      case .string(let value): .string(value)
      case .large(let value): .unsigned(value)
      case .array(let values): .array(values.map(\.json))
      case .object(let members): .object(members.mapValues(\.json))
      }
    }

    fileprivate var typeName: String {
      switch self {
      case .null: "null"
      case .bool: "true or false"
      case .integer, .large: "a whole number"
      case .real: "a number"
      case .string: "text"
      case .array: "an array"
      case .object: "an object"
      }
    }
  }

  let kind: RecordKind
  private let members: [String: Value]
  /// nil: JSON that only the more lenient decoder accepts.
  private let exact: [String: JSONValue]?
  private(set) var problems: [RecordProblem] = []

  init(_ kind: RecordKind, _ payload: UnsafeRawBufferPointer) {
    self.kind = kind
    exact = (try? JSONValue(payload))?.object
    // Keys are not converted, as those of hyperparameters are chosen by the program.
    if case .object(let members)? = Self.value(payload) {
      self.members = members
    } else {
      members = [:]
      problems.append(RecordProblem(kind, nil, "is not a JSON object"))
    }
  }

  static func value(_ payload: UnsafeRawBufferPointer) -> Value? {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
    return try? decoder.decode(Value.self, from: Data(payload))
  }

  private mutating func note(_ field: String, _ what: String) {
    problems.append(RecordProblem(kind, field, what))
  }

  /// nil: missing or null.
  private mutating func member(_ field: String, isRequired: Bool) -> Value? {
    switch members[field] {
    case nil, .null?:
      // Not reported again if the whole record is invalid.
      if isRequired, !members.isEmpty || problems.isEmpty { note(field, "is missing") }
      return nil
    case let value?: return value
    }
  }

  mutating func text(_ field: String, isRequired: Bool = false) -> String? {
    guard let value = member(field, isRequired: isRequired) else { return nil }
    if case .string(let text) = value { return text }
    note(field, "is \(value.typeName), not text")
    return nil
  }

  mutating func integer(_ field: String, in range: ClosedRange<Int64>, isRequired: Bool = false) -> Int64? {
    guard let value = member(field, isRequired: isRequired) else { return nil }
    guard case .integer(let number) = value else {
      if case .large = value { note(field, "is out of range") } else { wrongNumber(field, value) }
      return nil
    }
    if !range.contains(number) { note(field, "is out of range") }
    return range.contains(number) ? number : nil
  }

  mutating func count(_ field: String, isRequired: Bool = false) -> UInt64? {
    guard let value = member(field, isRequired: isRequired) else { return nil }
    switch value {
    case .large(let number): return number
    case .integer(let number) where number >= 0: return UInt64(number)
    case .integer: note(field, "is negative")
    default: wrongNumber(field, value)
    }
    return nil
  }

  private mutating func wrongNumber(_ field: String, _ value: Value) {
    note(field, "is \(value.typeName), not a whole number")
  }

  /// An object of any values, whose numbers keep their type.
  mutating func object(_ field: String) -> [String: JSONValue] {
    guard let value = member(field, isRequired: false) else { return [:] }
    guard case .object(let members) = value else {
      note(field, "is \(value.typeName), not an object")
      return [:]
    }
    return exact?[field]?.object ?? members.mapValues(\.json)
  }

  /// Numbers by name. JSON has no NaN and no infinities: they are text.
  mutating func numbers(_ field: String) -> [String: Double] {
    var numbers: [String: Double] = [:]
    for (name, value) in object(field).sorted(by: { $0.key < $1.key }) {
      switch value {
      case .integer(let number): numbers[name] = Double(number)
      case .unsigned(let number): numbers[name] = Double(number)
      case .real(let number): numbers[name] = number
      case .string(let text) where ["NaN", "Infinity", "-Infinity"].contains(text):
        numbers[name] = text == "NaN" ? .nan : text == "Infinity" ? .infinity : -.infinity
      default: note("\(field).\(name)", "is not a number")
      }
    }
    return numbers
  }
}
