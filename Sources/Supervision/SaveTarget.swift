public import Vocabulary

/// Moments ahead of the trainer at which it is to save its state, whichever comes first. The request is made before
/// the moment, so that the trainer saves exactly then.
public struct SaveTarget: Hashable, Sendable {
  /// Save after this step.
  public var step: UInt64?
  /// Save at the end of each epoch whose number, from 1, is a multiple.
  public var everyEpochs: UInt64?
  public var epochEnd: EpochEnd

  public init(step: UInt64? = nil, everyEpochs: UInt64? = nil, epochEnd: EpochEnd = .validation) {
    self.step = step
    self.everyEpochs = everyEpochs
    self.epochEnd = epochEnd
  }
}
