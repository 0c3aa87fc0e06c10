import LMDB
public import POSIX
public import SystemPackage

/// Why the store could not be opened, read or written.
public struct StoreError: Error, Sendable, CustomStringConvertible {
  public enum Code: String, Hashable, Sendable {
    /// There is no store.
    case missing
    /// LMDB cannot open it, or what it holds is no store of ours.
    case damaged
    case newerVersion
    case noRoom
    case io
  }

  public var code: Code
  public var operation: String
  public var path: FilePath
  /// LMDB's words.
  public var reason: String?
  public var hint: Hint

  public init(_ code: Code, operation: String, path: FilePath, reason: String? = nil, hint: Hint) {
    self.code = code
    self.operation = operation
    self.path = path
    self.reason = reason
    self.hint = hint
  }

  init(_ error: LMDBError, path: FilePath) {
    let code: Code =
      if error.isDamage { .damaged } else if error.code == 2 {
        .missing
      } else if Errno(rawValue: error.code).isNoRoom {
        .noRoom
      } else { .io }
    let hint: Hint =
      error.isOtherVersion
      ? "it is of another version of LMDB; move it aside: mv \(path) \(path).other"
      : code == .damaged
        ? "run the job: what can be read is kept, and the damaged file is set aside"
        : "look at the disk: df \(path); ls -l \(path)"
    self.init(code, operation: error.operation, path: path, reason: error.description, hint: hint)
  }

  public var description: String { "\(operation) \(path): \(reason ?? code.rawValue)" }
}
