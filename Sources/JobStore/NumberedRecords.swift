import LMDB
import Reporting
import Synchronization
import TrainerProtocol

/// A record under a number that the store gives one after the other.
protocol NumberedRecord: Decodable, Sendable {
  var number: UInt64 { get set }
}

extension AttemptRecord: NumberedRecord {
  var number: UInt64 {
    get { attempt }
    set { attempt = newValue }
  }
}

extension EventRecord: NumberedRecord {
  var number: UInt64 {
    get { sequence }
    set { sequence = newValue }
  }
}

/// The records of a database whose keys are numbers. There may be very many, so they are read a page at a
/// time: in memory for one page, and in reads so short that the writer does not overtake them.
///
/// A damaged record is left out. Its number is the key's, whatever it says itself.
public struct NumberedRecords<Record: Sendable>: Sendable {
  /// Rows of a page, where nobody asks for fewer.
  static var pageRows: Int { 256 }

  /// Nobody counts so far: a larger number is damage, and counting on from it would overflow.
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

  /// How many there are, damaged ones included; not counted one by one.
  public var count: Int {
    get throws(StoreError) { try store.read { try $0.count(database) } }
  }

  /// Of the newest row, damaged or not; 0: there is none.
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

  /// From the newest row on, until `body` says that it is enough.
  private func walkBack(
    _ transaction: ReadTransaction, _ body: (UInt64, UnsafeRawBufferPointer) -> Bool
  ) throws {
    let cursor = try transaction.cursor(database)
    // The seek ends at the first row beyond all numbers; mostly there is none.
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
