import Glibc

/// A call of libsystemd that failed.
public struct SystemdError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The function, as its man page names it.
  public var operation: String
  /// As in errno(3).
  public var errno: Int32
  /// What it was about: a socket's address, a variable's value.
  public var subject: String?

  public init(_ operation: String, errno: Int32, subject: String? = nil) {
    self.operation = operation
    self.errno = errno
    self.subject = subject
  }

  public var description: String {
    let reason = String(cString: strerror(errno))
    guard let subject else { return "\(operation): \(reason)" }
    return "\(operation) \(subject): \(reason)"
  }
}
