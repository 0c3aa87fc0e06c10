/// Why a configuration file cannot be used.
public struct JobFileError: Error, Sendable, CustomStringConvertible {
  public enum Code: Hashable, Sendable {
    case missing
    /// It cannot be opened or read, or is not a regular file.
    case unreadable
    /// `problems` says what and where.
    case wrong
  }

  public var code: Code
  public var path: String
  public var what: String
  public var why: String?
  /// In the order of the file; empty unless it is `wrong`.
  public var problems: [Problem]

  init(_ code: Code, path: String, _ what: String, why: String? = nil, problems: [Problem] = []) {
    self.code = code
    self.path = path
    self.what = what
    self.why = why
    self.problems = problems
  }

  /// On one line, for a log.
  public var description: String {
    guard let first = problems.first else { return "\(path): \(what)\(why.map { ": \($0)" } ?? "")" }
    let more = problems.count > 1 ? " (and \(problems.count - 1) more)" : ""
    return "\(path):\(first)\(more)"
  }
}
