public import POSIX
public import SystemPackage

/// Why the supervisor could not do its work. The command line gives each code its exit status.
public struct SupervisorError: Error, Sendable, CustomStringConvertible {
  public enum Code: String, Hashable, Sendable {
    case alreadySupervised
    case cannotCreate
    case leftoverProcess
    case otherJob
    case newerFormat
    case damaged
    case commandNotFound
    case commandNotExecutable
    case io
    case `internal`
  }

  public var code: Code
  /// What happened, in words.
  public var what: String
  public var path: FilePath?
  public var why: String?
  /// What the user can type or do; one a line.
  public var hint: Hint

  public init(_ code: Code, _ what: String, path: FilePath? = nil, why: String? = nil, hint: Hint) {
    self.code = code
    self.what = what
    self.path = path
    self.why = why
    self.hint = hint
  }

  public var description: String { what }
}
