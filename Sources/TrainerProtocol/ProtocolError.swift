import POSIX
public import SystemPackage

/// Why something in the run directory could not be used.
public struct ProtocolError: Error, Sendable, CustomStringConvertible {
  public enum Code: String, Hashable, Sendable {
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

  public var code: Code
  public var errno: Errno?
  public var operation: String
  public var path: FilePath?
  public var hint: String

  public init(_ code: Code, errno: Errno? = nil, operation: String, path: FilePath?, hint: String) {
    self.code = code
    self.errno = errno
    self.operation = operation
    self.path = path
    self.hint = hint
  }

  init(_ error: POSIXError, hint: String) {
    let code: Code =
      switch error.errno {
      case _ where error.errno.isNoRoom: .noRoom
      case .noSuchFileOrDirectory: .missing
      default: .system
      }
    if error.isMisplaced {
      self.init(code, operation: "\(error.operation) (\(error.reason))", path: error.path, hint: hint)
    } else {
      self.init(code, errno: error.errno, operation: error.operation, path: error.path, hint: hint)
    }
  }

  public var description: String {
    let place = path.map { " \($0)" } ?? ""
    let reason = errno.map { ": \($0)" } ?? ""
    return "\(operation)\(place): \(code.rawValue)\(reason); \(hint)"
  }
}
