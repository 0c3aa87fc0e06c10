import LMDB
import POSIX
import TrainerProtocol

/// What waits for the next group commit. It was told already, and the ring still holds it.
extension WriterLoop {
  /// Snapshots in memory, of steps that no row has yet.
  struct Held {
    var rows: [(step: UInt64, row: [UInt8])] = []
    var newest = Newest()
  }

  var canWait: Bool {
    guard commitInterval > interval, ring != nil, !isDetaching, !isAnnounced, !isEnding,
      waiting.allSatisfy(\.canWait)
    else { return false }
    let isDue = Clock.monotonicNanoseconds - committedAt >= UInt64(commitInterval / .nanoseconds(1))
    return !isDue && !isWatched()
  }

  /// Reads what the ring has, tells it, and leaves it there.
  /// - Returns: false: there is something that has to be written at once. Then nothing was read.
  func hold() -> Bool {
    guard let ring else { return false }
    var drain = newDrain()
    var rows: [(step: UInt64, row: [UInt8])] = []
    var highest = lastStep
    var isReplay = false
    let count = drain.drain(ring, limit: limits.batch) { step, row in
      // Also of one that came a moment before.
      if let highest, step <= highest { isReplay = true }
      highest = step
      rows.append((step, row))
    }
    // A step that is made again is compared with its row; a full snapshot is a place to resume from.
    let isRoutine = drain.drained.controls.allSatisfy { if case .staged = $0 { true } else { false } }
    guard !isReplay, isRoutine, drain.newestFull.isEmpty, count < limits.batch,
      !ring.needsRelease, ring.isIntact
    else {
      ring.rewind()
      return false
    }
    ring.markRetained()
    held.rows += rows
    held.newest.take(Newest(drain))
    finish(&drain, durable: false)
    return true
  }

  func writeHeld(_ transaction: borrowing Transaction) throws {
    let snapshots = store.databases.snapshots
    guard let first = held.rows.first?.step else { return }
    let isBeyond = try RingDrain.lastKey(transaction, snapshots, rank: 0).map { first > $0 } ?? true
    for (step, row) in held.rows {
      try Key.snapshot(rank: 0, step: step).withUnsafeBytes { key in
        try row.withUnsafeBytes { row in
          // Appending fills each page, where LMDB would else leave half of it free.
          try transaction.put(snapshots, key, bytes: row.count, append: isBeyond) { $0.copyMemory(from: row) }
        }
      }
    }
  }
}
