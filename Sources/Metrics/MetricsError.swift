/// Why metrics cannot be had where the user wants them.
public struct MetricsError: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Code: String, Hashable, Sendable {
    /// What the user wrote is no address to listen on.
    case badAddress
    case cannotListen
    case cannotWrite
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

  public var description: String { what }
}
