import Vocabulary

/// How far a trainer is with its resume point: the supervisor reads it when the trainer has died.
public enum Restoring: UInt32, Hashable, Sendable {
  /// It says nothing of this, and takes the point without waiting for a verdict.
  case silent = 0
  case waits = 1
  /// It loads the state: a death now may be the state's fault.
  case takes = 2
  case done = 3
}

/// What the supervisor says of the resume point that it named in `resume.json`.
public enum PointVerdict: UInt32, Hashable, Sendable {
  /// There is nothing to wait for.
  case none = 0
  /// It is being read.
  case pending = 1
  case whole = 2
  /// It is damaged; `resume.json` names another one now, or none.
  case replaced = 3
}

/// What a ring's header says of the newest request that was answered. The record says more, and may be lost.
public struct Acknowledgement: Hashable, Sendable {
  public var sequence: UInt64
  public var outcome: Staged.Outcome

  public init(sequence: UInt64, outcome: Staged.Outcome) {
    self.sequence = sequence
    self.outcome = outcome
  }
}
