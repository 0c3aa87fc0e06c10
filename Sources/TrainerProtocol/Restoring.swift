import Vocabulary

/// A trainer's progress with its resume point. The supervisor reads it when the trainer has died.
public enum Restoring: UInt32, Hashable, Sendable {
  /// It does not report this, and loads the point without waiting for a verdict.
  case silent = 0
  /// It waits for the verdict.
  case waiting = 1
  /// It loads the state, which may be the cause if it dies now.
  case loading = 2
  case done = 3
}
