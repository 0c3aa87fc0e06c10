import POSIX
public import Reporting
import SystemPackage

/// Why checkpoints could not be stored, listed or loaded. Its text never contains credentials.
public typealias StorageError = CodedError<StorageErrorCode>

public enum StorageErrorCode: ErrorCode {
  /// The storage has no such checkpoint, object or place.
  case missing
  /// The storage does not answer. Trying again later may succeed.
  case unreachable
  /// The storage rejects the credentials, or they do not permit this.
  case denied
  case noRoom
  /// What is stored, or what was to be stored, is not what was published.
  case damaged
  case cancelled
  case io
  /// The storage or this version cannot do that, or the name is invalid.
  case unsupported
  /// A program that accesses the storage is not installed, cannot be run, or broke its protocol.
  case program
}

extension StorageError {
  init(_ what: String, _ error: POSIXError, hint: Hint? = nil) {
    let code: StorageErrorCode =
      switch error.errno {
      case _ where error.errno.isNoRoom: .noRoom
      case .noSuchFileOrDirectory: .missing
      case .permissionDenied, .notPermitted: .denied
      default: .io
      }
    self.init(code, what, error, hint: hint)
  }

  /// What happened and why, without the path and the hint.
  public var reason: String { why.map { "\(what): \($0)" } ?? what }

  static var cancelled: StorageError { StorageError(.cancelled, "cancelled") }
}
