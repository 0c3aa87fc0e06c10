/// A request of the supervisor to the trainer, which reads it at its next step or safe point.
public struct Request: Hashable, Sendable {
  public enum Kind: UInt32, Hashable, Sendable {
    case none = 0
    case save = 1
    case saveAndLeave = 2
    case cancel = 3
  }

  /// Incremented for each request; 0 before the first.
  public var sequence: UInt64
  public var kind: Kind
  public var slot: UInt32
  public var cutID: CutID
  /// Step after which to save; 0: the next.
  public var targetStep: UInt64
  public var generation: UInt64
  /// CLOCK_MONOTONIC; 0: none.
  public var deadlineNanoseconds: UInt64

  public init(
    sequence: UInt64, kind: Kind, slot: UInt32, cutID: CutID, targetStep: UInt64 = 0, generation: UInt64,
    deadlineNanoseconds: UInt64 = 0
  ) {
    self.sequence = sequence
    self.kind = kind
    self.slot = slot
    self.cutID = cutID
    self.targetStep = targetStep
    self.generation = generation
    self.deadlineNanoseconds = deadlineNanoseconds
  }
}
