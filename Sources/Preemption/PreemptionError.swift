/// Why a source of notices says nothing, or nothing that can be believed.
public struct PreemptionError: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Code: String, Hashable, Sendable {
    /// What the user named is no source, or no endpoint.
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
    /// We are leaving; nobody asks any more.
    case cancelled
  }

  public var code: Code
  /// What happened, in words.
  public var what: String
  public var errno: Int32?
  /// Something the user can do.
  public var hint: String

  public init(_ code: Code, _ what: String, errno: Int32? = nil, hint: String) {
    self.code = code
    self.what = what
    self.errno = errno
    self.hint = hint
  }

  init(answer what: String) {
    self.init(.badAnswer, what, hint: "another source can be named, or none: --preemption none")
  }

  public var description: String { what }
}
