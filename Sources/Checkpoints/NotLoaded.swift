/// A value that a load which is not strict has left out.
public struct NotLoaded: Hashable, Sendable, CustomStringConvertible {
  public enum Reason: Hashable, Sendable {
    /// The checkpoint has no such value; the object keeps its own.
    case notSaved
    /// The object has no such value.
    case unexpected
    /// It was saved with another type or shape, which the text names; the object keeps its own.
    case mismatch(String)
  }

  /// Component and key: `model/layers/0/weight`.
  public var path: String
  public var reason: Reason

  public init(path: String, reason: Reason) {
    self.path = path
    self.reason = reason
  }

  public var description: String {
    switch reason {
    case .notSaved: "\(path) (not saved)"
    case .unexpected: "\(path) (saved, but not expected)"
    case .mismatch(let what): "\(path) (\(what))"
    }
  }
}
