import Vocabulary

/// The newest answered request, from the ring's header. The record has more data but may be lost.
public struct Acknowledgement: Hashable, Sendable {
  public var sequence: UInt64
  public var outcome: Staged.Outcome

  public init(sequence: UInt64, outcome: Staged.Outcome) {
    self.sequence = sequence
    self.outcome = outcome
  }
}
