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

/// The supervisor's verdict on the resume point in `resume.json`.
public enum PointVerdict: UInt32, Hashable, Sendable {
  /// There is nothing to wait for.
  case none = 0
  /// It is being verified.
  case pending = 1
  case whole = 2
  /// It was damaged; `resume.json` now names another one, or none.
  case replaced = 3
}

/// The newest answered request, from the ring's header. The record has more data but may be lost.
public struct Acknowledgement: Hashable, Sendable {
  public var sequence: UInt64
  public var outcome: Staged.Outcome

  public init(sequence: UInt64, outcome: Staged.Outcome) {
    self.sequence = sequence
    self.outcome = outcome
  }
}
