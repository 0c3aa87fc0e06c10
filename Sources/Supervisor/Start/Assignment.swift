import Reporting
import TrainerProtocol

/// `NAME=VALUE` of the action `--set`. Members of nested hyperparameters are named with dots.
public struct Assignment: Hashable, Sendable {
  public var name: String
  public var text: String

  public init(name: String, text: String) {
    self.name = name
    self.text = text
  }

  /// - Returns: nil: `text` has no name or no `=`.
  public init?(parsing argument: String) {
    guard let equals = argument.firstIndex(of: "="), equals != argument.startIndex else { return nil }
    self.init(name: String(argument[..<equals]), text: String(argument[argument.index(after: equals)...]))
  }

  /// - Returns: the hyperparameter and its new value, which has the type of the old one.
  func value(in known: Hyperparameters) throws(SupervisorError) -> (name: String, value: JSONValue) {
    if let before = known[name] { return (name, try parsed(like: before)) }
    let path = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard path.count > 1, let whole = known[path[0]], let changed = try replaced(in: whole, path[1...]) else {
      throw SupervisorError(
        .otherJob, "the job has no hyperparameter '\(name)'",
        hint: "its hyperparameters are \(Self.names(known))")
    }
    return (path[0], changed)
  }

  private func replaced(
    in whole: JSONValue, _ path: ArraySlice<String>
  ) throws(SupervisorError) -> JSONValue? {
    guard let key = path.first else { return try parsed(like: whole) }
    guard var members = whole.object, let member = members[key] else { return nil }
    guard let changed = try replaced(in: member, path.dropFirst()) else { return nil }
    members[key] = changed
    return .object(members)
  }

  private func parsed(like before: JSONValue) throws(SupervisorError) -> JSONValue {
    switch before {
    case .string: return .string(text)
    case .bool:
      switch text {
      case "true", "True": return .bool(true)
      case "false", "False": return .bool(false)
      default: throw mismatch("true or false", before)
      }
    case .integer, .unsigned:
      if let value = Int64(text) { return .integer(value) }
      if let value = UInt64(text) { return .unsigned(value) }
      throw mismatch("a whole number", before)
    case .real:
      guard let value = Double(text), value.isFinite else { throw mismatch("a number", before) }
      return .real(value)
    case .null: return Self.json(text) ?? .string(text)
    case .array:
      guard let value = Self.json(text), value.array != nil else { throw mismatch("a JSON array", before) }
      return value
    case .object:
      guard let value = Self.json(text), value.object != nil else { throw mismatch("a JSON object", before) }
      return value
    }
  }

  private func mismatch(_ kind: String, _ before: JSONValue) -> SupervisorError {
    SupervisorError(
      .otherJob, "--set \(name)=\(text): '\(name)' is \(kind)",
      hint: "its value is \(before.text()), and its type is kept")
  }

  private static func json(_ text: String) -> JSONValue? {
    Array(text.utf8).withUnsafeBytes { try? JSONValue($0) }
  }

  /// Sorted, with the members of nested ones.
  private static func names(_ known: Hyperparameters) -> String {
    known.sorted { $0.key < $1.key }.map { name, value in
      guard let members = value.object, !members.isEmpty else { return name }
      return members.keys.sorted().map { "\(name).\($0)" }.joined(separator: ", ")
    }.joined(separator: ", ")
  }
}
