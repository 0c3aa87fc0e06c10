import LMDB
import Reporting
import Synchronization
import TrainerProtocol

/// The records of a database whose keys are numbers. As there may be very many, they are read page by page:
/// this bounds memory, and makes each read short enough not to be disturbed by the writer.
///
/// Damaged records are skipped. A record's number is always that of its key.
public struct NumberedRecords<Record: Sendable>: Sendable {
  /// Default rows per page.
  static var pageRows: Int { 256 }

  /// Larger numbers are damage; counting from them would overflow.
  static var largestNumber: UInt64 { 1 << 62 }

  let store: JobStore
  let database: Database
  let decode: @Sendable ([UInt8], UInt64) -> Record?

  init(_ store: JobStore, _ database: Database) where Record: NumberedRecord {
    self.store = store
    self.database = database
    decode = { bytes, number in
      var record: Record? = JSON.decode(bytes)
      record?.number = number
      return record
    }
  }

  /// Calls `body` with each record after `number`, oldest first.
  public func forEach(after number: UInt64 = 0, _ body: (Record) throws -> Void) throws {
    var last = number
    while true {
      let rows = try rows(after: last, limit: Self.pageRows)
      for row in rows {
        if let record = decode(row.value, row.number) { try body(record) }
      }
      guard let end = rows.last?.number else { return }
      last = end
    }
  }

  /// At most `limit` records after `number`, oldest first.
  public func first(_ limit: Int, after number: UInt64 = 0) throws(StoreError) -> [Record] {
    try rows(after: number, limit: limit).compactMap { decode($0.value, $0.number) }
  }

  /// The newest `limit` records, oldest first.
  public func newest(_ limit: Int) throws(StoreError) -> [Record] {
    let rows: [Row] = try store.read { transaction in
      var rows: [Row] = []
      try walkBack(transaction) { number, value in
        rows.append(Row(number: number, value: Array(value)))
        return rows.count < limit
      }
      return rows
    }
    store.rowsRead.add(UInt64(rows.count), ordering: .relaxed)
    return rows.reversed().compactMap { decode($0.value, $0.number) }
  }

  /// The number after which there are `count` records, or all of them.
  public func start(ofNewest count: Int) throws(StoreError) -> UInt64 {
    try store.read { transaction in
      var left = count
      var start: UInt64 = 0
      try walkBack(transaction) { number, _ in
        start = number &- 1
        left -= 1
        return left > 0
      }
      return start
    }
  }

  public subscript(number: UInt64) -> Record? {
    get throws(StoreError) {
      let value = try store.read { transaction in
        try Key.number(number).withUnsafeBytes { key in
          try transaction.get(database, key).map { Array($0) }
        }
      }
      return value.flatMap { decode($0, number) }
    }
  }

  /// Number of records, including damaged ones; takes constant time.
  public var count: Int {
    get throws(StoreError) { try store.read { try $0.count(database) } }
  }

  /// Number of the newest row, damaged or not; 0 if there is none.
  var lastNumber: UInt64 {
    get throws(StoreError) {
      try store.read { transaction in
        var last: UInt64 = 0
        try walkBack(transaction) { number, _ in
          last = number
          return false
        }
        return last
      }
    }
  }

  private struct Row {
    var number: UInt64
    var value: [UInt8]
  }

  private func rows(after number: UInt64, limit: Int) throws(StoreError) -> [Row] {
    guard number < Self.largestNumber, limit > 0 else { return [] }
    let rows: [Row] = try store.read { transaction in
      var rows: [Row] = []
      let cursor = try transaction.cursor(database)
      var entry = try Key.number(number + 1).withUnsafeBytes { try cursor.seek($0) }
      while let (key, value) = entry, rows.count < limit {
        if let number = Self.number(key) {
          guard number <= Self.largestNumber else { break }
          rows.append(Row(number: number, value: Array(value)))
        }
        entry = try cursor.next()
      }
      return rows
    }
    store.rowsRead.add(UInt64(rows.count), ordering: .relaxed)
    return rows
  }

  /// Calls `body` from the newest row backwards until it returns `false`.
  private func walkBack(
    _ transaction: ReadTransaction, _ body: (UInt64, UnsafeRawBufferPointer) -> Bool
  ) throws {
    let cursor = try transaction.cursor(database)
    // Finds the first row with a damaged, larger number; normally there is none.
    let beyond = try Key.number(Self.largestNumber + 1).withUnsafeBytes { try cursor.seek($0) }
    var entry = beyond == nil ? try cursor.last() : try cursor.previous()
    while let (key, value) = entry {
      if let number = Self.number(key), !body(number, value) { return }
      entry = try cursor.previous()
    }
  }

  private static func number(_ key: UnsafeRawBufferPointer) -> UInt64? {
    key.count == Key.numberBytes ? Key.lastNumber(key) : nil
  }
}
