public import Reporting

/// Why a source of notices cannot be reached or understood.
public typealias PreemptionError = CodedError<PreemptionErrorCode>

public enum PreemptionErrorCode: ErrorCode {
  /// What the user named is not a source, or not an endpoint.
  case badSource
  case unreachable
  case timedOut
  /// The connection ended before the answer did.
  case cutOff
  case answerTooLarge
  /// It is not HTTP, not the cloud's, or not what its protocol says.
  case badAnswer
  /// A program that gives notices cannot be run, or ended.
  case program
  /// The supervisor is exiting.
  case cancelled
}

extension PreemptionError {
  init(answer what: String) {
    self.init(.badAnswer, what, hint: "another source can be named, or none: --preemption none")
  }
}
