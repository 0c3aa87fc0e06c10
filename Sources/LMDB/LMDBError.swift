import CLMDB

/// What LMDB, or the system below it, refused.
public struct LMDBError: Error, Hashable, Sendable, CustomStringConvertible {
  /// One of LMDB's codes (`MDB_MAP_FULL` …, negative) or an errno (positive).
  public var code: Int32
  /// The LMDB function.
  public var operation: String
  public var path: String?

  /// Ours: this process has the environment open already. Share the open one.
  public static let alreadyOpen: Int32 = -1

  public init(code: Int32, operation: String, path: String? = nil) {
    self.code = code
    self.operation = operation
    self.path = path
  }

  public var isAlreadyOpen: Bool { code == Self.alreadyOpen }
  /// A commit failed half way: `Environment.reopen`.
  public var isPanic: Bool { code == MDB_PANIC }
  public var isMapFull: Bool { code == MDB_MAP_FULL }
  /// Another process has grown the map.
  public var isMapResized: Bool { code == MDB_MAP_RESIZED }
  /// The file is not an LMDB environment, or not one that this version can read.
  public var isDamage: Bool {
    [MDB_CORRUPTED, MDB_INVALID, MDB_VERSION_MISMATCH, MDB_PAGE_NOTFOUND, MDB_INCOMPATIBLE].contains(code)
  }

  public var description: String {
    let place = path.map { " \($0)" } ?? ""
    let reason = isAlreadyOpen ? "already open in this process" : String(cString: mdb_strerror(code))
    return "\(operation)\(place): \(reason)"
  }

  static func check(_ code: Int32, _ operation: String, _ path: String? = nil) throws(LMDBError) {
    if code != MDB_SUCCESS { throw LMDBError(code: code, operation: operation, path: path) }
  }
}
