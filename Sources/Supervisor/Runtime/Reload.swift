public import Supervision

/// What became of a configuration that was read again.
public enum Reload: Sendable {
  /// The values in force stay; why, on one line.
  case rejected(String)
  /// - Parameter changes: what to tell of it, a line each; none: nothing changed.
  case accepted(Policy, changes: [String])
}
