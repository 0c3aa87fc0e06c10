import FoundationEssentials

/// The fields of a JSON record, read one by one: an invalid field does not affect the others.
struct RecordFields {
  /// A value of any type.
  enum Value: Decodable {
    case null
    case scalar(Scalar)
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
        self = .scalar(try container.decode(Scalar.self))
      }
    }

    fileprivate var typeName: String {
      switch self {
      case .null: "null"
      case .scalar(.bool): "true or false"
      case .scalar(.integer), .large: "a whole number"
      case .scalar(.real): "a number"
      case .scalar(.string): "text"
      case .array: "an array"
      case .object: "an object"
      }
    }
  }

  let kind: RecordKind
  private let members: [String: Value]
  private(set) var problems: [RecordProblem] = []

  init(_ kind: RecordKind, _ payload: UnsafeRawBufferPointer) {
    self.kind = kind
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
    if case .scalar(.string(let text)) = value { return text }
    note(field, "is \(value.typeName), not text")
    return nil
  }

  mutating func integer(_ field: String, in range: ClosedRange<Int64>, isRequired: Bool = false) -> Int64? {
    guard let value = member(field, isRequired: isRequired) else { return nil }
    guard case .scalar(.integer(let number)) = value else {
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
    case .scalar(.integer(let number)) where number >= 0: return UInt64(number)
    case .scalar(.integer): note(field, "is negative")
    default: wrongNumber(field, value)
    }
    return nil
  }

  private mutating func wrongNumber(_ field: String, _ value: Value) {
    note(field, "is \(value.typeName), not a whole number")
  }

  mutating func scalars(_ field: String) -> [String: Scalar] {
    guard let value = member(field, isRequired: false) else { return [:] }
    guard case .object(let members) = value else {
      note(field, "is \(value.typeName), not an object")
      return [:]
    }
    var scalars: [String: Scalar] = [:]
    for (name, value) in members.sorted(by: { $0.key < $1.key }) {
      switch value {
      case .scalar(let scalar): scalars[name] = scalar
      case .large(let number): scalars[name] = .real(Double(number))
      case .null, .array, .object:
        note("\(field).\(name)", "is \(value.typeName), not a number, text, true or false")
      }
    }
    return scalars
  }

  /// Numbers by name. JSON has no NaN and no infinities: they are text.
  mutating func numbers(_ field: String) -> [String: Double] {
    var numbers: [String: Double] = [:]
    for (name, value) in scalars(field) {
      switch value {
      case .integer(let number): numbers[name] = Double(number)
      case .real(let number): numbers[name] = number
      case .string(let text) where ["NaN", "Infinity", "-Infinity"].contains(text):
        numbers[name] = text == "NaN" ? .nan : text == "Infinity" ? .infinity : -.infinity
      case .string, .bool: note("\(field).\(name)", "is not a number")
      }
    }
    return numbers
  }
}
