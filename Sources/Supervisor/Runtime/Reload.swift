public import Supervision

/// The result of a configuration reload.
public enum Reload: Sendable {
  /// The previous configuration is kept. The reason, on one line.
  case rejected(String)
  /// - Parameter changes: lines to log, one for each change.
  case accepted(Policy, changes: [String])
}
