import Reporting

/// State of a component: a tree of plain values and tensors. It cannot contain code.
public indirect enum StateValue: Sendable {
  case null
  case bool(Bool)
  case integer(Int64)
  case real(Double)
  case string(String)
  case data([UInt8])
  case tensor(Tensor)
  case array([StateValue])
  case object([String: StateValue])

  private func mismatch(_ wanted: String) -> CheckpointError {
    CheckpointError(.unsupported, "expected \(wanted), found \(kind)")
  }

  /// With its article.
  var kind: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .integer: "an integer"
    case .real: "a real number"
    case .string: "a string"
    case .data: "data"
    case .tensor: "a tensor"
    case .array: "an array"
    case .object: "an object"
    }
  }

  /// The value under `key` of an object.
  public func value(_ key: String) throws(CheckpointError) -> StateValue {
    guard case .object(let members) = self else { throw mismatch("an object with '\(key)'") }
    guard let value = members[key] else {
      let known = members.keys.sorted()
      let further = known.count > 20 ? " and \(known.count - 20) more" : ""
      let list = known.isEmpty ? "none" : known.prefix(20).joined(separator: ", ") + further
      throw CheckpointError(.missing, "not saved; saved keys: \(list)").within(key)
    }
    return value
  }

  public func tensor() throws(CheckpointError) -> Tensor {
    guard case .tensor(let value) = self else { throw mismatch("a tensor") }
    return value
  }

  public func integer() throws(CheckpointError) -> Int64 {
    guard case .integer(let value) = self else { throw mismatch("an integer") }
    return value
  }

  public func real() throws(CheckpointError) -> Double {
    guard case .real(let value) = self else { throw mismatch("a real number") }
    return value
  }

  public func string() throws(CheckpointError) -> String {
    guard case .string(let value) = self else { throw mismatch("a string") }
    return value
  }

  public func bool() throws(CheckpointError) -> Bool {
    guard case .bool(let value) = self else { throw mismatch("a boolean") }
    return value
  }

  public func array() throws(CheckpointError) -> [StateValue] {
    guard case .array(let values) = self else { throw mismatch("an array") }
    return values
  }

  public func object() throws(CheckpointError) -> [String: StateValue] {
    guard case .object(let members) = self else { throw mismatch("an object") }
    return members
  }

  public func data() throws(CheckpointError) -> [UInt8] {
    guard case .data(let value) = self else { throw mismatch("data") }
    return value
  }
}

extension StateValue: Equatable {
  /// Compares bits, so a NaN equals itself.
  public static func == (a: StateValue, b: StateValue) -> Bool {
    switch (a, b) {
    case (.null, .null): true
    case (.bool(let a), .bool(let b)): a == b
    case (.integer(let a), .integer(let b)): a == b
    case (.real(let a), .real(let b)): a.bitPattern == b.bitPattern
    case (.string(let a), .string(let b)): a == b
    case (.data(let a), .data(let b)): a == b
    case (.tensor(let a), .tensor(let b)): a == b
    case (.array(let a), .array(let b)): a == b
    case (.object(let a), .object(let b)): a == b
    default: false
    }
  }
}
