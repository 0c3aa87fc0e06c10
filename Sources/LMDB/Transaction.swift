import CLMDB
import Glibc
import Synchronization

/// A named database of an environment. Its handle is valid for the life of the environment, once
/// the transaction that opened it has committed.
public struct Database: Hashable, Sendable {
  let handle: MDB_dbi
}

/// A read or write transaction; aborted when it goes away without `commit`.
public struct Transaction: ~Copyable {
  let handle: OpaquePointer
  // Not the environment: a value that is discarded may hold nothing that counts references.
  private let gate: UnsafeMutablePointer<pthread_rwlock_t>
  private let environment: Unmanaged<Environment>

  /// The environment must outlive it.
  public init(_ environment: Environment, readOnly: Bool) throws(LMDBError) {
    pthread_rwlock_rdlock(environment.gate)
    guard environment.handle != nil else {
      pthread_rwlock_unlock(environment.gate)
      throw environment.notOpen
    }
    var handle: OpaquePointer?
    let flags = readOnly ? UInt32(MDB_RDONLY) : 0
    let code = mdb_txn_begin(environment.handle, nil, flags, &handle)
    guard code == MDB_SUCCESS, let handle else {
      pthread_rwlock_unlock(environment.gate)
      throw LMDBError(code: code, operation: "mdb_txn_begin", path: environment.path)
    }
    self.handle = handle
    gate = environment.gate
    self.environment = .passUnretained(environment)
  }

  deinit {
    mdb_txn_abort(handle)
    pthread_rwlock_unlock(gate)
  }

  /// Commits; durable when it returns.
  public consuming func commit() throws(LMDBError) {
    let handle = handle
    let gate = gate
    discard self
    defer { pthread_rwlock_unlock(gate) }
    try LMDBError.check(mdb_txn_commit(handle), "mdb_txn_commit")
  }

  /// - Parameter create: make it if it is not there (write transactions).
  /// - Returns: nil when it is not there.
  public func database(_ name: String, create: Bool) throws(LMDBError) -> Database? {
    var database = MDB_dbi()
    let code = mdb_dbi_open(handle, name, create ? UInt32(MDB_CREATE) : 0, &database)
    if code == MDB_NOTFOUND { return nil }
    try LMDBError.check(code, "mdb_dbi_open \(name)")
    environment.takeUnretainedValue().databaseNames.withLock { if !$0.contains(name) { $0.append(name) } }
    return Database(handle: database)
  }

  /// The value, where it lies in the map: valid until the transaction ends or writes.
  public func get(_ database: Database, _ key: UnsafeRawBufferPointer) throws(LMDBError)
    -> UnsafeRawBufferPointer?
  {
    var key = MDB_val(key)
    var value = MDB_val()
    let code = mdb_get(handle, database.handle, &key, &value)
    if code == MDB_NOTFOUND { return nil }
    try LMDBError.check(code, "mdb_get")
    return UnsafeRawBufferPointer(value)
  }

  public func put(
    _ database: Database, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
  ) throws(LMDBError) {
    var key = MDB_val(key)
    var value = MDB_val(value)
    try LMDBError.check(mdb_put(handle, database.handle, &key, &value, 0), "mdb_put")
  }

  /// Makes room for a value of `bytes` bytes and lets `fill` write it where it will lie.
  /// - Parameter append: the key is beyond all others: no search is made.
  @inline(__always)
  public func put(
    _ database: Database, _ key: UnsafeRawBufferPointer, bytes: Int, append: Bool,
    fill: (UnsafeMutableRawBufferPointer) -> Void
  ) throws(LMDBError) {
    var key = MDB_val(key)
    var value = MDB_val(mv_size: bytes, mv_data: nil)
    let flags = UInt32(MDB_RESERVE) | (append ? UInt32(MDB_APPEND) : 0)
    let code = mdb_put(handle, database.handle, &key, &value, flags)
    guard code == MDB_SUCCESS else { throw LMDBError(code: code, operation: "mdb_put") }
    fill(UnsafeMutableRawBufferPointer(start: value.mv_data, count: value.mv_size))
  }

  /// - Returns: whether it was there.
  @discardableResult
  public func delete(_ database: Database, _ key: UnsafeRawBufferPointer) throws(LMDBError) -> Bool {
    var key = MDB_val(key)
    let code = mdb_del(handle, database.handle, &key, nil)
    if code == MDB_NOTFOUND { return false }
    try LMDBError.check(code, "mdb_del")
    return true
  }

  /// Number of entries, without counting them.
  public func count(_ database: Database) throws(LMDBError) -> Int {
    var statistics = MDB_stat()
    try LMDBError.check(mdb_stat(handle, database.handle, &statistics), "mdb_stat")
    return statistics.ms_entries
  }

  public func cursor(_ database: Database) throws(LMDBError) -> Cursor {
    var cursor: OpaquePointer?
    let code = mdb_cursor_open(handle, database.handle, &cursor)
    guard code == MDB_SUCCESS, let cursor else {
      throw LMDBError(code: code, operation: "mdb_cursor_open")
    }
    return Cursor(handle: cursor)
  }
}

/// A place in a database, in the order of keys. Must not outlive its transaction.
public struct Cursor: ~Copyable {
  public typealias Entry = (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)

  let handle: OpaquePointer

  deinit { mdb_cursor_close(handle) }

  public func first() throws(LMDBError) -> Entry? { try move(MDB_FIRST) }
  public func last() throws(LMDBError) -> Entry? { try move(MDB_LAST) }
  public func next() throws(LMDBError) -> Entry? { try move(MDB_NEXT) }
  public func previous() throws(LMDBError) -> Entry? { try move(MDB_PREV) }

  /// The first entry whose key is `key` or greater.
  public func seek(_ key: UnsafeRawBufferPointer) throws(LMDBError) -> Entry? {
    try move(MDB_SET_RANGE, MDB_val(key))
  }

  /// Deletes the entry it stands on; `next` then gives the one after.
  public func delete() throws(LMDBError) {
    try LMDBError.check(mdb_cursor_del(handle, 0), "mdb_cursor_del")
  }

  private func move(_ operation: MDB_cursor_op, _ key: MDB_val = MDB_val()) throws(LMDBError) -> Entry? {
    var key = key
    var value = MDB_val()
    let code = mdb_cursor_get(handle, &key, &value, operation)
    if code == MDB_NOTFOUND { return nil }
    try LMDBError.check(code, "mdb_cursor_get")
    return (UnsafeRawBufferPointer(key), UnsafeRawBufferPointer(value))
  }
}

extension MDB_val {
  @inline(__always)
  init(_ bytes: UnsafeRawBufferPointer) {
    self.init(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
  }
}

extension UnsafeRawBufferPointer {
  @inline(__always)
  init(_ value: MDB_val) { self.init(start: value.mv_data, count: value.mv_size) }
}
