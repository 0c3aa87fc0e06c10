import CGuardedLMDB
import CLMDB
import Glibc
import Synchronization

/// An LMDB environment to write to: a directory with `data.mdb`. Invariants:
/// - Whoever opens it has made sure that no other process writes. Then LMDB's lock file is not needed
///   (`MDB_NOLOCK`), and a full disk or a killed reader cannot do harm through it. It is read by
///   `ReadTransaction`, in this process as in others.
/// - It is open once per process; a second one is refused. Never use it across `fork`.
/// - Without `MDB_WRITEMAP`: a full disk is an error there, not a SIGBUS.
/// - A write transaction begins and ends on one thread, and there is one at a time. The map changes its size, and
///   the environment is opened again, only while there is none: all of them hold `gate`.
/// - LMDB believes its file. All pages are checked before it is opened, and again when anybody else changed the
///   file since the last transaction. Every call is guarded; after a fault it may only be opened again.
public final class Environment: @unchecked Sendable {
  /// nil: opening it again failed. Every transaction does then.
  private(set) var handle: OpaquePointer?
  /// A call was left half way: nothing but closing is done with the handle.
  private(set) var isBroken = false
  /// What the file was after the last transaction of ours.
  private var known: FileState?
  private var committed: MetaPage?
  private var lastMapBytes: Int
  let gate: UnsafeMutablePointer<pthread_mutex_t>
  private let identity: FileIdentity
  private let options: Options
  /// In the order of opening: opened again in that order, they get the same handles.
  let databases = Mutex<[Database]>([])

  private static let opened = Mutex<Set<FileIdentity>>([])
  public let path: String

  public struct Options: Sendable {
    public var mapBytes = 16 << 20
    public var databases: UInt32 = 8
    /// Nothing is durable before `synchronize`: for an environment that is being made.
    public var withoutSynchronizing = false

    public init() {}
  }

  /// Opens the environment in the directory `path`, or makes it.
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
    pthread_mutex_init(gate, nil)
    self.identity = identity
    self.options = options
    self.path = path
    remember()
  }

  private static func open(_ path: String, _ options: Options) throws(LMDBError) -> OpaquePointer {
    try FileCheck.prepare(path + "/" + DataFile.name)
    var flags = UInt32(MDB_NOTLS) | UInt32(MDB_NOLOCK)
    if options.withoutSynchronizing { flags |= UInt32(MDB_NOSYNC) }
    var handle: OpaquePointer?
    let code = hf_lmdb_open(path, flags, 0o640, options.databases, options.mapBytes, &handle)
    guard code == MDB_SUCCESS, let handle else {
      throw LMDBError(code: code, operation: "mdb_env_open", path: path)
    }
    return handle
  }

  deinit {
    if let handle { hf_lmdb_close(handle) }
    Self.opened.withLock { _ = $0.remove(identity) }
    pthread_mutex_destroy(gate)
    gate.deallocate()
  }

  /// Of the file itself.
  var filePath: String { path + "/" + DataFile.name }

  public var mapBytes: Int { lastMapBytes }

  /// Bytes of the file that are in use or free for reuse, as of the last transaction.
  public var usedBytes: Int {
    pthread_mutex_lock(gate)
    defer { pthread_mutex_unlock(gate) }
    return committed.map { Int($0.lastPage + 1) * $0.pageBytes } ?? 0
  }

  /// Whether the file that is open still has its name.
  public var isInPlace: Bool {
    pthread_mutex_lock(gate)
    defer { pthread_mutex_unlock(gate) }
    return known?.isFile(at: filePath) ?? false
  }

  /// Whether the directory that it was opened in is still at its path.
  public var isDirectoryInPlace: Bool { (try? FileIdentity(path)) == identity }

  /// The file that is open, which somebody may have renamed or removed meanwhile.
  /// - Returns: nil when none is open.
  public func openFile() throws(LMDBError) -> DataFile? {
    pthread_mutex_lock(gate)
    defer { pthread_mutex_unlock(gate) }
    guard let handle else { return nil }
    return try DataFile(duplicating: try descriptor(handle), path: filePath)
  }

  private func descriptor(_ handle: OpaquePointer) throws(LMDBError) -> CInt {
    var descriptor: CInt = -1
    try LMDBError.check(hf_lmdb_descriptor(handle, &descriptor), "mdb_env_get_fd", path)
    return descriptor
  }

  /// Makes the map larger; waits for a transaction of this process.
  public func grow(toMapBytes bytes: Int) throws(LMDBError) {
    pthread_mutex_lock(gate)
    defer { pthread_mutex_unlock(gate) }
    guard let handle = usable else { throw notOpen }
    try check(hf_lmdb_set_map_bytes(handle, bytes), "mdb_env_set_mapsize")
    lastMapBytes = max(lastMapBytes, bytes)
  }

  private var usable: OpaquePointer? { isBroken ? nil : handle }

  var notOpen: LMDBError { LMDBError(code: MDB_PANIC, operation: "mdb_txn_begin", path: path) }

  /// Throws for a code of a guarded call, and makes a note of one that was left half way.
  @inline(__always)
  func check(_ code: Int32, _ operation: @autoclosure () -> String) throws(LMDBError) {
    if code == MDB_SUCCESS { return }
    try fail(code, operation())
  }

  private func fail(_ code: Int32, _ operation: String) throws(LMDBError) -> Never {
    let error = LMDBError(code: code, operation: operation, path: path)
    if error.isFault { isBroken = true }
    throw error
  }

  /// Closes, checks the file, and opens again, which alone helps after `isPanic`, a fault, or a change by
  /// somebody else. Databases keep their handles.
  /// - Returns: whether the file still holds the last commit of ours, and nothing newer.
  /// - Throws: `isDamage`: then it stays closed.
  @discardableResult
  public func reopen() throws(LMDBError) -> Bool {
    pthread_mutex_lock(gate)
    defer { pthread_mutex_unlock(gate) }
    var options = options
    options.mapBytes = lastMapBytes
    closeLocked()
    handle = try Self.open(path, options)
    let before = committed
    remember()
    for database in databases.withLock({ $0 }) { try openAgain(database.name) }
    return before == nil || before == committed
  }

  /// Closes it until it is opened again: what is at its path may be replaced.
  public func close() {
    pthread_mutex_lock(gate)
    defer { pthread_mutex_unlock(gate) }
    closeLocked()
  }

  private func closeLocked() {
    // Not the new one first: that would be a second one in this process.
    if let handle { hf_lmdb_close(handle) }
    handle = nil
    isBroken = false
  }

  private func openAgain(_ name: String) throws(LMDBError) {
    var transaction: OpaquePointer?
    try check(hf_lmdb_begin(handle, UInt32(MDB_RDONLY), &transaction), "mdb_txn_begin")
    var database: UInt32 = 0
    let code = hf_lmdb_database(transaction, name, 0, &database)
    // Aborting would close the handle again.
    hf_lmdb_commit(transaction)
    if code == MDB_NOTFOUND {
      throw LMDBError(code: MDB_INVALID, operation: "mdb_dbi_open \(name)", path: path)
    }
    try check(code, "mdb_dbi_open \(name)")
  }

  /// Makes all commits durable, where they are not by themselves.
  public func synchronize() throws(LMDBError) {
    guard let file = try openFile() else { throw notOpen }
    guard fsync(file.descriptor) == 0 else { throw LMDBError(code: errno, operation: "fsync", path: path) }
  }

  // MARK: Changes by others

  /// Changes the file by other means than LMDB's, without touching its pages.
  public func changeFile(_ body: () -> Void) {
    pthread_mutex_lock(gate)
    defer { pthread_mutex_unlock(gate) }
    // Somebody else's change must not pass for ours.
    let isOurs = known == currentState
    body()
    if isOurs { known = currentState }
  }

  /// After a transaction of ours.
  func remember() {
    known = currentState
    committed = handle.flatMap { handle in
      try? DataFile(duplicating: descriptor(handle), path: filePath).newest()
    }
  }

  private var currentState: FileState? {
    guard let handle, let descriptor = try? descriptor(handle) else { return nil }
    return FileState(descriptor)
  }

  /// With the gate held: a handle that can be used.
  /// - Throws: `isDisturbed` when the file is not what the last transaction left.
  func begin() throws(LMDBError) -> OpaquePointer {
    guard let handle = usable else { throw notOpen }
    // A directory that was moved takes the file with it; that is for others to see.
    let isInPlace = !isDirectoryInPlace || known?.isFile(at: filePath) ?? false
    guard isInPlace, known == currentState else {
      throw LMDBError(code: LMDBError.disturbed, operation: "mdb_txn_begin", path: path)
    }
    return handle
  }

  /// Before a transaction is committed: LMDB must not build upon what somebody else wrote since it began.
  /// - Throws: `isDisturbed`.
  func checkUndisturbed() throws(LMDBError) {
    // What is being made may be larger than the memory that LMDB takes for it, and is written before it is complete.
    guard options.withoutSynchronizing || known == currentState else {
      throw LMDBError(code: LMDBError.disturbed, operation: "mdb_txn_commit", path: path)
    }
  }

  /// Runs `body` on the newest state. What it is shown is valid until it asks for more.
  public func read<Result>(_ body: (ReadTransaction) throws -> Result) throws -> Result {
    try ReadTransaction.run(path, body)
  }

  /// Runs `body` in a write transaction and commits it, durably, unless it throws.
  public func write<Result>(_ body: (borrowing Transaction) throws -> Result) throws -> Result {
    let transaction = try Transaction(self)
    let result = try body(transaction)
    try transaction.commit()
    return result
  }
}
