import CGuardedLMDB
import CLMDB

/// What LMDB, or the system below it, refused.
public struct LMDBError: Error, Hashable, Sendable, CustomStringConvertible {
  /// One of LMDB's codes (`MDB_MAP_FULL` …, negative) or an errno (positive).
  public var code: Int32
  /// The LMDB function.
  public var operation: String
  public var path: String?

  /// Holdfast's own: this process has the environment open already. Share the open one.
  public static let alreadyOpen: Int32 = -1
  public static let corrupted: Int32 = MDB_CORRUPTED
  /// Holdfast's own: another program changed the file. `Environment.reopen`.
  public static let disturbed: Int32 = -2

  public init(code: Int32, operation: String, path: String? = nil) {
    self.code = code
    self.operation = operation
    self.path = path
  }

  public var isAlreadyOpen: Bool { code == Self.alreadyOpen }
  /// A commit failed half way: `Environment.reopen`.
  public var isPanic: Bool { code == MDB_PANIC }
  public var isMapFull: Bool { code == MDB_MAP_FULL }
  /// Another program changed the file since the last transaction: `Environment.reopen`.
  public var isDisturbed: Bool { code == Self.disturbed }
  /// Damage in the file led LMDB to a signal: `Environment.reopen`.
  public var isFault: Bool { code < HF_LMDB_FAULT && code > HF_LMDB_FAULT - 65 }
  /// The file has another format, which LMDB of another version may read.
  public var isOtherVersion: Bool { code == MDB_VERSION_MISMATCH }
  /// The file is not an LMDB environment, or not one that this version can read.
  public var isDamage: Bool {
    [MDB_CORRUPTED, MDB_INVALID, MDB_VERSION_MISMATCH, MDB_PAGE_NOTFOUND, MDB_INCOMPATIBLE].contains(code)
      || isFault
  }

  public var description: String {
    let place = path.map { " \($0)" } ?? ""
    let reason =
      switch code {
      case Self.alreadyOpen: "already open in this process"
      case Self.disturbed: "another program changed the file"
      case _ where isFault: "what lies in the file led to signal \(HF_LMDB_FAULT - code)"
      default: String(cString: mdb_strerror(code))
      }
    return "\(operation)\(place): \(reason)"
  }

  static func check(_ code: Int32, _ operation: String, _ path: String? = nil) throws(LMDBError) {
    if code != MDB_SUCCESS { throw LMDBError(code: code, operation: operation, path: path) }
  }
}
