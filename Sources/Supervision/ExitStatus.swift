/// How a process ended.
public enum ExitStatus: Hashable, Sendable {
  case exited(Int32)
  case signaled(Int32)

  /// SIGINT ended it: directly, as in Python, or reported by a shell for its child.
  var isInterrupt: Bool { self == .signaled(2) || self == .exited(130) }
}
