import CLMDB
import Synchronization

/// An LMDB environment: a directory with `data.mdb` and `lock.mdb`. Invariants:
/// - Open it once per process (LMDB's locks are per process, and closing one of two drops both), and
///   never use it across `fork`.
/// - Without `MDB_WRITEMAP`: a full disk is an error there, not a SIGBUS. With `MDB_NOTLS`: a read
///   transaction belongs to its object, not to a thread.
/// - A write transaction begins and ends on one thread, and there is one at a time; `grow` is called
///   by that thread while no read transaction of this process is open.
public final class Environment: @unchecked Sendable {
  let handle: OpaquePointer
  public let path: String
  public let isReadOnly: Bool

  public struct Options: Sendable {
    public var mapBytes = 16 << 20
    public var databases: UInt32 = 8
    public var readOnly = false
    /// Read without the lock file, for those who may not write it. Such a reader is not seen by the
    /// writer, which may reuse a page under it: keep its transactions short and check what is read.
    public var withoutLock = false

    public init() {}
  }

  public init(_ path: String, _ options: Options = Options()) throws(LMDBError) {
    var handle: OpaquePointer?
    try LMDBError.check(mdb_env_create(&handle), "mdb_env_create")
    guard let handle else { throw LMDBError(code: 12, operation: "mdb_env_create") }
    var flags = UInt32(MDB_NOTLS)
    if options.readOnly { flags |= UInt32(MDB_RDONLY) }
    if options.withoutLock { flags |= UInt32(MDB_NOLOCK) }
    var code = mdb_env_set_maxdbs(handle, options.databases)
    // A reader takes the size that the file has.
    if code == MDB_SUCCESS, !options.readOnly { code = mdb_env_set_mapsize(handle, options.mapBytes) }
    if code == MDB_SUCCESS { code = mdb_env_open(handle, path, flags, 0o640) }
    if code != MDB_SUCCESS {
      mdb_env_close(handle)
      throw LMDBError(code: code, operation: "mdb_env_open", path: path)
    }
    self.handle = handle
    self.path = path
    isReadOnly = options.readOnly
  }

  deinit { mdb_env_close(handle) }

  public var mapBytes: Int {
    var information = MDB_envinfo()
    mdb_env_info(handle, &information)
    return information.me_mapsize
  }

  /// Bytes of the file that are in use or free for reuse.
  public var usedBytes: Int {
    var information = MDB_envinfo()
    var statistics = MDB_stat()
    mdb_env_info(handle, &information)
    mdb_env_stat(handle, &statistics)
    return (information.me_last_pgno + 1) * Int(statistics.ms_psize)
  }

  public func grow(toMapBytes bytes: Int) throws(LMDBError) {
    try LMDBError.check(mdb_env_set_mapsize(handle, bytes), "mdb_env_set_mapsize", path)
  }

  /// Takes over the size to which another process has grown the map.
  public func adoptMapSize() throws(LMDBError) {
    try LMDBError.check(mdb_env_set_mapsize(handle, 0), "mdb_env_set_mapsize", path)
  }

  /// Forgets readers whose process is gone; they would keep old pages from being reused.
  /// - Returns: how many there were.
  @discardableResult
  public func clearDeadReaders() throws(LMDBError) -> Int {
    var dead: Int32 = 0
    try LMDBError.check(mdb_reader_check(handle, &dead), "mdb_reader_check", path)
    return Int(dead)
  }

  /// Runs `body` in a read transaction. What it is shown is valid until it returns.
  public func read<Result>(_ body: (borrowing Transaction) throws -> Result) throws -> Result {
    do {
      return try body(try Transaction(self, readOnly: true))
    } catch let error as LMDBError where error.isMapResized {
      try adoptMapSize()
      return try body(try Transaction(self, readOnly: true))
    }
  }

  /// Runs `body` in a write transaction and commits it, durably, unless it throws.
  public func write<Result>(_ body: (borrowing Transaction) throws -> Result) throws -> Result {
    let transaction = try Transaction(self, readOnly: false)
    let result = try body(transaction)
    try transaction.commit()
    return result
  }
}
