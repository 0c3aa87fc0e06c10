import CGuardedLMDB
import CLMDB
import Glibc
import Synchronization

/// An LMDB environment for writing: a directory with `data.mdb`. Invariants:
/// - The caller ensures that no other process writes. So LMDB's lock file is not needed (`MDB_NOLOCK`), and no
///   full disk or killed reader can cause harm through it. All readers use `ReadTransaction`, also in this process.
/// - It is open at most once per process; opening it again is an error. Do not use it across `fork`.
/// - Without `MDB_WRITEMAP`: a full disk is an error, not a SIGBUS.
/// - A write transaction begins and ends on one thread, and there is one at a time. The map is resized and the
///   environment reopened only without a transaction: all of these hold `gate`.
/// - LMDB does not validate its file. All pages are checked before it is opened, and again after another program
///   changed the file. Every call is guarded; after a fault, only reopening is allowed.
public final class Environment: @unchecked Sendable {
  /// nil: reopening failed, and every transaction fails.
  private(set) var handle: OpaquePointer?
  /// A call was aborted by a fault: the handle may only be closed.
  private(set) var isBroken = false
  /// The state of the file after the last transaction of this environment.
  private var lastState: FileState?
  private var committed: MetaPage?
  private var lastMapBytes: Int
  let gate: UnsafeMutablePointer<pthread_mutex_t>
  private let identity: FileIdentity
  private let options: Options
  /// In the order of opening: reopened in that order, they get the same handles.
  let databases = Mutex<[Database]>([])

  private static let opened = Mutex<Set<FileIdentity>>([])
  public let path: String

  public struct Options: Sendable {
    public var mapBytes = 16 << 20
    public var databases: UInt32 = 8
    /// Commits are not durable before `synchronize`: for an environment that is being built.
    public var withoutSynchronizing = false

    public init() {}
  }

  /// Opens or creates the environment in the directory `path`.
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
    recordState()
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

  /// The path of `data.mdb`.
  var filePath: String { path + "/" + DataFile.name }

  public var mapBytes: Int { lastMapBytes }

  /// Bytes of the file that are in use, or free for reuse, as of the last transaction.
  public var usedBytes: Int {
    pthread_mutex_lock(gate)
    defer { pthread_mutex_unlock(gate) }
    return committed.map { Int($0.lastPage + 1) * $0.pageBytes } ?? 0
  }

  /// Whether the open file is still at its path.
  public var isInPlace: Bool {
    pthread_mutex_lock(gate)
    defer { pthread_mutex_unlock(gate) }
    return lastState?.isFile(at: filePath) ?? false
  }

  /// Whether the directory of the environment is still at its path.
  public var isDirectoryInPlace: Bool { (try? FileIdentity(path)) == identity }

  /// The open file, which may have been renamed or removed.
  /// - Returns: nil when the environment is closed.
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

  /// Enlarges the map; waits for a transaction of this process.
  public func grow(toMapBytes bytes: Int) throws(LMDBError) {
    pthread_mutex_lock(gate)
    defer { pthread_mutex_unlock(gate) }
    guard let handle = usable else { throw notOpen }
    try check(hf_lmdb_set_map_bytes(handle, bytes), "mdb_env_set_mapsize")
    lastMapBytes = max(lastMapBytes, bytes)
  }

  private var usable: OpaquePointer? { isBroken ? nil : handle }

  var notOpen: LMDBError { LMDBError(code: MDB_PANIC, operation: "mdb_txn_begin", path: path) }

  /// Throws the error of a guarded call, and marks the environment as broken after a fault.
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

  /// Closes the environment, checks the file and opens it again: the only recovery after `isPanic`, a fault, or a
  /// change by another program. Databases keep their handles.
  /// - Returns: whether the last commit of this environment is still the newest in the file.
  /// - Throws: `isDamage`; the environment then stays closed.
  @discardableResult
  public func reopen() throws(LMDBError) -> Bool {
    pthread_mutex_lock(gate)
    defer { pthread_mutex_unlock(gate) }
    var options = options
    options.mapBytes = lastMapBytes
    closeLocked()
    handle = try Self.open(path, options)
    let before = committed
    recordState()
    for database in databases.withLock({ $0 }) { try reopenDatabase(database.name) }
    return before == nil || before == committed
  }

  /// Closes it until `reopen`, so that the file may be replaced.
  public func close() {
    pthread_mutex_lock(gate)
    defer { pthread_mutex_unlock(gate) }
    closeLocked()
  }

  private func closeLocked() {
    // Close before opening: LMDB allows a file to be open once in a process.
    if let handle { hf_lmdb_close(handle) }
    handle = nil
    isBroken = false
  }

  private func reopenDatabase(_ name: String) throws(LMDBError) {
    var transaction: OpaquePointer?
    try check(hf_lmdb_begin(handle, UInt32(MDB_RDONLY), &transaction), "mdb_txn_begin")
    var database: UInt32 = 0
    let code = hf_lmdb_database(transaction, name, 0, &database)
    // Aborting would close the database's handle.
    hf_lmdb_commit(transaction)
    if code == MDB_NOTFOUND {
      throw LMDBError(code: MDB_INVALID, operation: "mdb_dbi_open \(name)", path: path)
    }
    try check(code, "mdb_dbi_open \(name)")
  }

  /// Makes all commits durable, for `withoutSynchronizing`.
  public func synchronize() throws(LMDBError) {
    guard let file = try openFile() else { throw notOpen }
    guard fsync(file.descriptor) == 0 else { throw LMDBError(code: errno, operation: "fsync", path: path) }
  }

  // MARK: Changes by others

  /// Runs `body`, which changes the file without LMDB, and without changing its pages.
  public func changeFile(_ body: () -> Void) {
    pthread_mutex_lock(gate)
    defer { pthread_mutex_unlock(gate) }
    // A change by another program must stay detectable.
    let wasUndisturbed = lastState == currentState
    body()
    if wasUndisturbed { lastState = currentState }
  }

  /// Records the state of the file after a transaction.
  func recordState() {
    lastState = currentState
    committed = handle.flatMap { handle in
      try? DataFile(duplicating: descriptor(handle), path: filePath).newest()
    }
  }

  private var currentState: FileState? {
    guard let handle, let descriptor = try? descriptor(handle) else { return nil }
    return FileState(descriptor)
  }

  /// Requires the gate.
  /// - Returns: a usable handle.
  /// - Throws: `isDisturbed` when the file changed since the last transaction.
  func begin() throws(LMDBError) -> OpaquePointer {
    guard let handle = usable else { throw notOpen }
    // If the directory was moved, the file moved with it. The caller detects that with `isDirectoryInPlace`.
    let isInPlace = !isDirectoryInPlace || lastState?.isFile(at: filePath) ?? false
    guard isInPlace, lastState == currentState else {
      throw LMDBError(code: LMDBError.disturbed, operation: "mdb_txn_begin", path: path)
    }
    return handle
  }

  /// Called before a commit, which must not build upon changes by another program.
  /// - Throws: `isDisturbed`.
  func checkUndisturbed() throws(LMDBError) {
    // An environment that is being built may exceed LMDB's limit of dirty pages, which are then written before the
    // commit.
    guard options.withoutSynchronizing || lastState == currentState else {
      throw LMDBError(code: LMDBError.disturbed, operation: "mdb_txn_commit", path: path)
    }
  }

  /// Runs `body` on the newest state. Data that it receives is valid until its next call.
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
