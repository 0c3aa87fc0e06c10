public import SystemPackage

/// Why an operation failed, in the parts that every command shows: what happened, to which path, why, and what
/// to do about it. `code` is for the program; everything else is for people.
public struct CodedError<Code: Hashable & Sendable>: Error, Hashable, Sendable, CustomStringConvertible {
  public var code: Code
  /// What happened.
  public var what: String
  public var path: FilePath?
  /// The reason that the system or a library gave.
  public var why: String?
  /// Of the system call that failed, if one did.
  public var errno: Errno?
  /// What the user can type or do, one thing a line.
  public var hint: Hint?

  public init(
    _ code: Code, _ what: String, path: FilePath? = nil, why: String? = nil, errno: Errno? = nil,
    hint: Hint? = nil
  ) {
    self.code = code
    self.what = what
    self.path = path
    self.why = why ?? errno.map { "\($0)" }
    self.errno = errno
    self.hint = hint
  }

  /// On one line, without the hint: `what: path: why`.
  public var description: String {
    [what, path?.string, why].compactMap { $0 }.joined(separator: ": ")
  }
}
