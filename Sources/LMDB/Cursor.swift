import CGuardedLMDB
import CLMDB
import Glibc

/// A cursor in a database of a write transaction, ordered by key. It must not outlive its transaction. Its entries
/// are copies in its buffer, valid until it moves. Moving is mutating, so the caller must store the cursor in a
/// variable, where it outlives the use of the copy.
public struct Cursor: ~Copyable {
  public typealias Entry = (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)

  private let handle: OpaquePointer
  private let environment: Unmanaged<Environment>
  private let buffer: UnsafeMutablePointer<CopyBuffer>

  init(handle: OpaquePointer, environment: Unmanaged<Environment>) {
    self.handle = handle
    self.environment = environment
    buffer = .allocate(capacity: 1)
    buffer.initialize(to: CopyBuffer())
  }

  deinit {
    if !environment.takeUnretainedValue().isBroken { hf_lmdb_cursor_close(handle) }
    buffer.pointee.deallocate()
    buffer.deallocate()
  }

  public mutating func first() throws(LMDBError) -> Entry? { try move(MDB_FIRST) }
  public mutating func last() throws(LMDBError) -> Entry? { try move(MDB_LAST) }
  public mutating func next() throws(LMDBError) -> Entry? { try move(MDB_NEXT) }
  public mutating func previous() throws(LMDBError) -> Entry? { try move(MDB_PREV) }

  /// The first entry whose key is `key` or greater.
  public mutating func seek(_ key: UnsafeRawBufferPointer) throws(LMDBError) -> Entry? {
    try move(MDB_SET_RANGE, key)
  }

  /// Deletes the current entry; `next` then returns the one after it.
  public func delete() throws(LMDBError) {
    let environment = environment.takeUnretainedValue()
    guard !environment.isBroken else { throw environment.notOpen }
    try environment.check(hf_lmdb_cursor_delete(handle), "mdb_cursor_del")
  }

  private mutating func move(
    _ operation: MDB_cursor_op, _ key: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
  ) throws(LMDBError) -> Entry? {
    let environment = environment.takeUnretainedValue()
    guard !environment.isBroken else { throw environment.notOpen }
    var operation = operation
    var keyBytes = 0
    var bytes = 0
    while true {
      let code = hf_lmdb_cursor_move(
        handle, Int32(operation.rawValue), key.baseAddress, key.count, buffer.pointee.base,
        buffer.pointee.count, &keyBytes, &bytes)
      if code == MDB_NOTFOUND { return nil }
      try environment.check(code, "mdb_cursor_get")
      if keyBytes + bytes <= buffer.pointee.count {
        return (buffer.pointee[0, keyBytes], buffer.pointee[keyBytes, bytes])
      }
      // The cursor has already moved.
      buffer.pointee.grow(to: keyBytes + bytes)
      operation = MDB_GET_CURRENT
    }
  }
}
