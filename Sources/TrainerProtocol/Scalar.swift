/// A value of a hyperparameter.
public enum Scalar: Hashable, Sendable, Codable {
  case bool(Bool)
  case integer(Int64)
  case real(Double)
  case string(String)

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let value = try? container.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? container.decode(Int64.self) {
      self = .integer(value)
    } else if let value = try? container.decode(Double.self) {
      self = .real(value)
    } else {
      self = .string(try container.decode(String.self))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .bool(let value): try container.encode(value)
    case .integer(let value): try container.encode(value)
    // JSON has no NaN.
    case .real(let value) where !value.isFinite: try container.encode("\(value)")
    case .real(let value): try container.encode(value)
    case .string(let value): try container.encode(value)
    }
  }
}
