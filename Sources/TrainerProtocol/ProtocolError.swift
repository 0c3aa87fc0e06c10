import POSIX
public import Reporting
import SystemPackage

/// Why something in the run directory could not be used.
public typealias ProtocolError = CodedError<ProtocolErrorCode>

public enum ProtocolErrorCode: ErrorCode {
  public static var describesHint: Bool { true }

  case missing
  /// Belongs to another job or attempt.
  case foreign
  case damaged
  case newerVersion
  /// Another trainer is attached.
  case locked
  case noRoom
  case system
}

extension ProtocolError {
  init(_ what: String, _ error: POSIXError, hint: Hint) {
    let code: ProtocolErrorCode =
      switch error.errno {
      case _ where error.errno.isNoRoom: .noRoom
      case .noSuchFileOrDirectory: .missing
      default: .system
      }
    self.init(code, what, error, hint: hint)
  }
}
