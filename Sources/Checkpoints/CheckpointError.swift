import POSIX
public import Reporting
import SystemPackage

/// Why a checkpoint could not be written, read or verified.
public typealias CheckpointError = CodedError<CheckpointErrorCode>

public enum CheckpointErrorCode: ErrorCode {
  case missing
  /// A file that must not be replaced.
  case exists
  case damaged
  case newerVersion
  case noRoom
  case io
  /// A value that cannot be stored, or one of another type than requested.
  case unsupported
  case cancelled
}

extension CheckpointError {
  init(_ what: String, _ error: POSIXError, hint: Hint? = nil) {
    let code: CheckpointErrorCode =
      switch error.errno {
      case _ where error.errno.isNoRoom: .noRoom
      case .noSuchFileOrDirectory: .missing
      default: .io
      }
    self.init(code, what, error, hint: hint)
  }

  /// For images.
  static func damaged(_ what: String) -> CheckpointError {
    CheckpointError(.damaged, what, hint: "resume from an older checkpoint")
  }
}
