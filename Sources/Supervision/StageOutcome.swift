import Vocabulary

/// The trainer's answer to a request.
public enum StageOutcome: Hashable, Sendable {
  case staged(step: UInt64, stall: Duration)
  case missed
  case failed(errno: Int32)
}
