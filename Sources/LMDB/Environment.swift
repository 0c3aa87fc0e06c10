import CLMDB
import Glibc
import Synchronization

/// An LMDB environment: a directory with `data.mdb` and `lock.mdb`. Invariants:
/// - It is open once per process: LMDB's locks are per process, and closing one of two drops both. A
///   second one is refused. Never use it across `fork`.
/// - Without `MDB_WRITEMAP`: a full disk is an error there, not a SIGBUS. With `MDB_NOTLS`: a read
///   transaction belongs to its object, not to a thread.
/// - A write transaction begins and ends on one thread, and there is one at a time.
/// - The map changes its size, and the environment is opened again, only while this process has no
///   transaction: transactions hold `gate` shared, those two hold it alone.
public final class Environment: @unchecked Sendable {
  /// nil: opening it again failed. Every transaction does then.
  private(set) var handle: OpaquePointer?
  private var lastMapBytes: Int
  let gate: UnsafeMutablePointer<pthread_rwlock_t>
  private let identity: FileIdentity
  private let options: Options
  /// In the order of opening: opened again in that order, they get the same handles.
  let databaseNames = Mutex<[String]>([])

  private static let opened = Mutex<Set<FileIdentity>>([])
  public let path: String
  public let isReadOnly: Bool
  public var isWithoutLock: Bool { options.withoutLock }

  public struct Options: Sendable {
    public var mapBytes = 16 << 20
    public var databases: UInt32 = 8
    public var readOnly = false
    /// Read without the lock file, for those who may not write it. Such a reader is not seen by the
    /// writer, which may reuse a page under it: keep its transactions short and check what is read.
    public var withoutLock = false

    public init() {}
  }

  /// Opens the environment in the directory `path`.
  /// - Throws: `isAlreadyOpen` when this process has it open; `isDamage`; or an errno.
  public init(_ path: String, _ options: Options = Options()) throws(LMDBError) {
    let identity = try FileIdentity(path)
    let isFirst = Self.opened.withLock { $0.insert(identity).inserted }
    guard isFirst else {
      throw LMDBError(code: LMDBError.alreadyOpen, operation: "mdb_env_open", path: path)
    }
    do throws(LMDBError) {
      handle = try Self.open(path, options)
    } catch {
      Self.opened.withLock { _ = $0.remove(identity) }
      throw error
    }
    lastMapBytes = options.mapBytes
    gate = .allocate(capacity: 1)
    pthread_rwlock_init(gate, nil)
    self.identity = identity
    self.options = options
    self.path = path
    isReadOnly = options.readOnly
  }

  private static func open(_ path: String, _ options: Options) throws(LMDBError) -> OpaquePointer {
    // LMDB believes what the meta pages say: a page size of 0 is a division by it.
    try MetaPage.check(path)
    var handle: OpaquePointer?
    try LMDBError.check(mdb_env_create(&handle), "mdb_env_create")
    guard let handle else { throw LMDBError(code: ENOMEM, operation: "mdb_env_create") }
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
    return handle
  }

  deinit {
    if let handle { mdb_env_close(handle) }
    Self.opened.withLock { _ = $0.remove(identity) }
    pthread_rwlock_destroy(gate)
    gate.deallocate()
  }

  public var mapBytes: Int { inspect { $0.me_mapsize } }

  /// Bytes of the file that are in use or free for reuse.
  public var usedBytes: Int {
    inspect { information in
      var statistics = MDB_stat()
      mdb_env_stat(handle, &statistics)
      return (information.me_last_pgno + 1) * Int(statistics.ms_psize)
    }
  }

  private func inspect(_ body: (MDB_envinfo) -> Int) -> Int {
    pthread_rwlock_rdlock(gate)
    defer { pthread_rwlock_unlock(gate) }
    guard handle != nil else { return 0 }
    var information = MDB_envinfo()
    mdb_env_info(handle, &information)
    return body(information)
  }

  /// Makes the map larger; waits for the transactions of this process.
  public func grow(toMapBytes bytes: Int) throws(LMDBError) { try setMapBytes(bytes) }

  /// Takes over the size to which another process has grown the map.
  public func adoptMapSize() throws(LMDBError) { try setMapBytes(0) }

  private func setMapBytes(_ bytes: Int) throws(LMDBError) {
    pthread_rwlock_wrlock(gate)
    defer { pthread_rwlock_unlock(gate) }
    guard let handle else { throw notOpen }
    try LMDBError.check(mdb_env_set_mapsize(handle, bytes), "mdb_env_set_mapsize", path)
    lastMapBytes = max(lastMapBytes, bytes)
  }

  var notOpen: LMDBError { LMDBError(code: MDB_PANIC, operation: "mdb_txn_begin", path: path) }

  /// Closes and opens again, which alone helps after `isPanic`. Databases keep their handles.
  public func reopen() throws(LMDBError) {
    pthread_rwlock_wrlock(gate)
    defer { pthread_rwlock_unlock(gate) }
    var options = options
    options.mapBytes = lastMapBytes
    // Not the new one first: that would be a second one in this process.
    if let handle { mdb_env_close(handle) }
    handle = nil
    handle = try Self.open(path, options)
    for name in databaseNames.withLock({ $0 }) { try openAgain(name) }
  }

  private func openAgain(_ name: String) throws(LMDBError) {
    var transaction: OpaquePointer?
    try LMDBError.check(mdb_txn_begin(handle, nil, UInt32(MDB_RDONLY), &transaction), "mdb_txn_begin", path)
    var database = MDB_dbi()
    let code = mdb_dbi_open(transaction, name, 0, &database)
    // Aborting would close the handle again.
    mdb_txn_commit(transaction)
    try LMDBError.check(code, "mdb_dbi_open \(name)", path)
  }

  /// Forgets readers whose process is gone; they would keep old pages from being reused.
  /// - Returns: how many there were.
  @discardableResult
  public func clearDeadReaders() throws(LMDBError) -> Int {
    pthread_rwlock_rdlock(gate)
    defer { pthread_rwlock_unlock(gate) }
    guard let handle else { throw notOpen }
    var dead: Int32 = 0
    try LMDBError.check(mdb_reader_check(handle, &dead), "mdb_reader_check", path)
    return Int(dead)
  }

  /// Runs `body` in a read transaction. What it is shown is valid until it returns.
  public func read<Result>(_ body: (borrowing Transaction) throws -> Result) throws -> Result {
    try body(try transaction(readOnly: true))
  }

  /// Runs `body` in a write transaction and commits it, durably, unless it throws.
  public func write<Result>(_ body: (borrowing Transaction) throws -> Result) throws -> Result {
    let transaction = try transaction(readOnly: false)
    let result = try body(transaction)
    try transaction.commit()
    return result
  }

  /// Begins a transaction, on the map as large as whoever grew it left it.
  private func transaction(readOnly: Bool) throws(LMDBError) -> Transaction {
    while true {
      do throws(LMDBError) {
        return try Transaction(self, readOnly: readOnly)
      } catch {
        guard error.isMapResized else { throw error }
        try adoptMapSize()
      }
    }
  }
}
