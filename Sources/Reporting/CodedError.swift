public import SystemPackage

/// An error in the parts that every command prints: what happened, to which path, why, and what to do about
/// it. `code` is for programs, the rest for users.
public struct CodedError<Code: ErrorCode>: Error, Hashable, Sendable, CustomStringConvertible {
  public var code: Code
  /// What happened.
  public var what: String
  public var path: FilePath?
  /// The item in the file to which it applies, such as the key of a value: `model/layers/0/weight`.
  public var item: String?
  /// The reason from the system or a library.
  public var why: String?
  /// Of the failed system call, if any.
  public var errno: Errno?
  /// Commands or actions for the user, one per line.
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

  /// `what` with the item before it: `'model/layers/0/weight': no saved value`.
  public var statement: String { item.map { "'\($0)': \(what)" } ?? what }

  /// On one line: `item: what: path: why`, and `; hint` if the code's `describesHint` is set.
  public var description: String {
    let text = [statement, path?.string, why].compactMap { $0 }.joined(separator: ": ")
    guard Code.describesHint, let hint else { return text }
    return "\(text); \(hint)"
  }
}
