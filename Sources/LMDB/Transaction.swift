import CGuardedLMDB
import CLMDB
import Glibc
import Synchronization

/// A write transaction, aborted when it is destroyed without `commit`.
public struct Transaction: ~Copyable {
  let handle: OpaquePointer
  // Unmanaged, as `discard self` allows only trivial members.
  private let environment: Unmanaged<Environment>
  private let buffer: UnsafeMutablePointer<CopyBuffer>

  /// The environment must outlive it.
  public init(_ environment: Environment) throws(LMDBError) {
    pthread_mutex_lock(environment.gate)
    var handle: OpaquePointer?
    do throws(LMDBError) {
      try environment.check(hf_lmdb_begin(try environment.begin(), 0, &handle), "mdb_txn_begin")
    } catch {
      pthread_mutex_unlock(environment.gate)
      throw error
    }
    guard let handle else {
      pthread_mutex_unlock(environment.gate)
      throw environment.notOpen
    }
    self.handle = handle
    self.environment = .passUnretained(environment)
    buffer = .allocate(capacity: 1)
    buffer.initialize(to: CopyBuffer())
  }

  deinit {
    let environment = environment.takeUnretainedValue()
    // The aborted transaction wrote nothing, so the recorded state stays: another program may have changed the file.
    if !environment.isBroken { _ = try? environment.check(hf_lmdb_abort(handle), "mdb_txn_abort") }
    Self.end(environment, buffer)
  }

  private static func end(_ environment: Environment, _ buffer: UnsafeMutablePointer<CopyBuffer>) {
    buffer.pointee.deallocate()
    buffer.deallocate()
    pthread_mutex_unlock(environment.gate)
  }

  /// Commits; durable when it returns.
  public consuming func commit() throws(LMDBError) {
    let handle = handle
    let environment = environment.takeUnretainedValue()
    do throws(LMDBError) {
      guard !environment.isBroken else { throw environment.notOpen }
      try environment.checkUndisturbed()
    } catch {
      _ = consume self
      throw error
    }
    let buffer = buffer
    discard self
    defer { Self.end(environment, buffer) }
    // A failed commit may have written a part.
    defer { environment.recordState() }
    try environment.check(hf_lmdb_commit(handle), "mdb_txn_commit")
  }

  @inline(__always)
  private func check(_ code: Int32, _ operation: @autoclosure () -> String) throws(LMDBError) {
    if code != MDB_SUCCESS { try environment.takeUnretainedValue().check(code, operation()) }
  }

  /// After a fault, no further calls are allowed.
  @inline(__always)
  private func checkUsable() throws(LMDBError) {
    if environment._withUnsafeGuaranteedRef({ $0.isBroken }) {
      throw environment.takeUnretainedValue().notOpen
    }
  }

  /// - Parameter create: create it if it does not exist.
  /// - Returns: nil when it does not exist.
  public func database(_ name: String, create: Bool) throws(LMDBError) -> Database? {
    try checkUsable()
    var number: UInt32 = 0
    let code = hf_lmdb_database(handle, name, create ? UInt32(MDB_CREATE) : 0, &number)
    if code == MDB_NOTFOUND { return nil }
    try check(code, "mdb_dbi_open \(name)")
    let database = Database(name: name, handle: number)
    environment.takeUnretainedValue().databases.withLock { if !$0.contains(database) { $0.append(database) } }
    return database
  }

  /// The value, copied; valid until the next call.
  public func get(_ database: Database, _ key: UnsafeRawBufferPointer) throws(LMDBError)
    -> UnsafeRawBufferPointer?
  {
    try checkUsable()
    var bytes = 0
    while true {
      let code = hf_lmdb_get(
        handle, database.handle, key.baseAddress, key.count, buffer.pointee.base, buffer.pointee.count, &bytes
      )
      if code == MDB_NOTFOUND { return nil }
      try check(code, "mdb_get")
      if bytes <= buffer.pointee.count { return buffer.pointee[0, bytes] }
      buffer.pointee.grow(to: bytes)
    }
  }

  public func put(
    _ database: Database, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
  ) throws(LMDBError) {
    try checkUsable()
    let code = hf_lmdb_put(
      handle, database.handle, key.baseAddress, key.count, value.baseAddress, value.count, 0)
    try check(code, "mdb_put")
  }

  /// Reserves a value of `bytes` bytes, which `fill` writes in place.
  /// - Parameter append: the key is greater than all others, so no search is needed.
  @inline(__always)
  public func put(
    _ database: Database, _ key: UnsafeRawBufferPointer, bytes: Int, append: Bool,
    fill: (UnsafeMutableRawBufferPointer) -> Void
  ) throws(LMDBError) {
    try checkUsable()
    var place: UnsafeMutableRawPointer?
    let code = hf_lmdb_reserve(
      handle, database.handle, key.baseAddress, key.count, bytes, append ? UInt32(MDB_APPEND) : 0, &place)
    try check(code, "mdb_put")
    fill(UnsafeMutableRawBufferPointer(start: place, count: bytes))
  }

  /// - Returns: whether it existed.
  @discardableResult
  public func delete(_ database: Database, _ key: UnsafeRawBufferPointer) throws(LMDBError) -> Bool {
    try checkUsable()
    let code = hf_lmdb_delete(handle, database.handle, key.baseAddress, key.count)
    if code == MDB_NOTFOUND { return false }
    try check(code, "mdb_del")
    return true
  }

  /// Number of entries, from the record of the database.
  public func count(_ database: Database) throws(LMDBError) -> Int {
    try checkUsable()
    var entries = 0
    try check(hf_lmdb_entries(handle, database.handle, &entries), "mdb_stat")
    return entries
  }

  public func cursor(_ database: Database) throws(LMDBError) -> Cursor {
    try checkUsable()
    var cursor: OpaquePointer?
    try check(hf_lmdb_cursor_open(handle, database.handle, &cursor), "mdb_cursor_open")
    guard let cursor else { throw environment.takeUnretainedValue().notOpen }
    return Cursor(handle: cursor, environment: environment)
  }
}
