public import POSIX
public import SystemPackage

/// Why a checkpoint could not be made, read or trusted.
public struct CheckpointError: Error, Sendable, CustomStringConvertible {
  public enum Code: String, Hashable, Sendable {
    case missing
    case damaged
    case newerVersion
    case noRoom
    case io
    /// A value that a checkpoint cannot hold, or not the one that was asked for.
    case unsupported
    case cancelled
  }

  public var code: Code
  public var errno: Errno?
  public var operation: String
  public var path: FilePath?
  public var what: String
  /// What the user can do.
  public var hint: String?

  public init(
    _ code: Code, errno: Errno? = nil, operation: String, path: FilePath? = nil, what: String,
    hint: String? = nil
  ) {
    self.code = code
    self.errno = errno
    self.operation = operation
    self.path = path
    self.what = what
    self.hint = hint
  }

  public init(_ error: POSIXError, what: String, hint: String? = nil) {
    let code: Code =
      switch error.errno {
      case _ where error.errno.isNoRoom: .noRoom
      case .noSuchFileOrDirectory: .missing
      default: .io
      }
    let what = error.isMisplaced ? "\(what): \(error.reason)" : what
    self.init(
      code, errno: error.isMisplaced ? nil : error.errno, operation: error.operation, path: error.path,
      what: what, hint: hint)
  }

  public var description: String {
    let place = path.map { " \($0)" } ?? ""
    let reason = errno.map { ": \($0)" } ?? ""
    return "\(operation)\(place): \(what)\(reason)"
  }
}
