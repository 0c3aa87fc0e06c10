import LMDB

/// Snapshots that were read and reported, and will be written by the next group commit. They are still in the
/// ring. The store has no rows for their steps.
struct HeldSnapshots {
  private(set) var rows: [(step: UInt64, row: [UInt8])] = []
  private(set) var newest = Newest()

  var isEmpty: Bool { rows.isEmpty }

  mutating func append(_ more: [(step: UInt64, row: [UInt8])], _ newer: Newest) {
    rows += more
    newest.update(with: newer)
  }

  func write(_ transaction: borrowing Transaction, _ snapshots: Database) throws {
    guard let first = rows.first?.step else { return }
    let isBeyond = try RingDrain.lastKey(transaction, snapshots, rank: 0).map { first > $0 } ?? true
    for (step, row) in rows {
      try Key.snapshot(rank: 0, step: step).withUnsafeBytes { key in
        try row.withUnsafeBytes { row in
          // Appending fills each page; otherwise LMDB leaves half of it free.
          try transaction.put(snapshots, key, bytes: row.count, append: isBeyond) { $0.copyMemory(from: row) }
        }
      }
    }
  }
}
