public import Vocabulary

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
  /// Step after which to save; 0: the next one, unless `everyEpochs` is set.
  public var targetStep: UInt64
  /// Save at the end of each epoch whose number, from 1, is a multiple of this; 0: at no epoch's end.
  public var everyEpochs: UInt32
  public var epochEnd: EpochEnd
  public var generation: UInt64
  /// CLOCK_MONOTONIC; 0: none.
  public var deadlineNanoseconds: UInt64

  public init(
    sequence: UInt64, kind: Kind, slot: UInt32, cutID: CutID, targetStep: UInt64 = 0, everyEpochs: UInt32 = 0,
    epochEnd: EpochEnd = .validation, generation: UInt64, deadlineNanoseconds: UInt64 = 0
  ) {
    self.sequence = sequence
    self.kind = kind
    self.slot = slot
    self.cutID = cutID
    self.targetStep = targetStep
    self.everyEpochs = everyEpochs
    self.epochEnd = epochEnd
    self.generation = generation
    self.deadlineNanoseconds = deadlineNanoseconds
  }

  /// Whether the state after `step` is to be saved at this step.
  public func isDue(atStep step: UInt64) -> Bool {
    targetStep == 0 ? everyEpochs == 0 : targetStep == step
  }

  /// Whether any step will do, and no time is set for it.
  public var isPatient: Bool {
    kind == .save && targetStep == 0 && everyEpochs == 0 && deadlineNanoseconds == 0
  }

  /// Whether the state is to be saved at the end of an epoch.
  /// - Parameters:
  ///   - epoch: its number, from 0.
  public func isDue(atEndOf epoch: UInt64, _ end: EpochEnd) -> Bool {
    everyEpochs > 0 && epochEnd == end && (epoch &+ 1) % UInt64(everyEpochs) == 0
  }

  /// Whether it is too late to save the requested state after `step`.
  public func isMissed(atStep step: UInt64) -> Bool { targetStep != 0 && targetStep < step }
}
