import Glibc
public import SystemPackage

/// A failed system call: which, on what, and why.
public struct POSIXError: Error, Equatable, CustomStringConvertible {
  /// The system call, as its man page names it.
  public var operation: String
  /// What it was applied to, where that has a name.
  public var path: FilePath?
  public var errno: Errno
  /// What is in the place of a regular file.
  public private(set) var found: FileKind?

  public init(_ operation: String, path: FilePath? = nil, errno: Errno) {
    self.operation = operation
    self.path = path
    self.errno = errno
  }

  /// It is not a regular file: nothing was opened.
  public init(misplaced found: FileKind, _ path: FilePath) {
    self.init("open", path: path, errno: found.errno)
    self.found = found
  }

  public var isMisplaced: Bool { found != nil }

  /// Why, in words.
  public var reason: String {
    found.map { "it is \($0.rawValue)" } ?? String(cString: strerror(errno.rawValue))
  }

  public var description: String {
    guard let path else { return "\(operation): \(reason)" }
    return "\(operation) \(path): \(reason)"
  }
}

/// Calls `body` until it is not interrupted, and throws what `errno` says when it returns -1.
@discardableResult
public func posix<Result: FixedWidthInteger & SignedInteger>(
  _ operation: String, _ path: FilePath? = nil, _ body: () -> Result
) throws(POSIXError) -> Result {
  #if DEBUG
  if let code = Faults.next(operation, path) { throw POSIXError(operation, path: path, errno: code) }
  #endif
  while true {
    let result = body()
    if result != -1 { return result }
    let code = Glibc.errno
    if code != EINTR { throw POSIXError(operation, path: path, errno: Errno(rawValue: code)) }
  }
}
