import Vocabulary

/// The trainer's answer to a request.
public enum StageOutcome: Hashable, Sendable {
  /// - Parameter completedEpochs: the number, from 1, of the epoch at whose end it was saved; 0: elsewhere.
  case staged(step: UInt64, stall: Duration, completedEpochs: UInt64 = 0)
  /// - Parameter step: at which the trainer was; nil: unknown.
  case missed(step: UInt64? = nil)
  case failed(errno: Int32)
}
