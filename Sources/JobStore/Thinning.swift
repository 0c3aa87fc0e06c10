import LMDB

/// Limits the size of `snapshots`: retains every step from the oldest retained checkpoint on, and before it
/// only multiples of a stride, the smallest power of two that leaves at most `thinned` rows. If the steps
/// since that checkpoint are too many, their older part is thinned likewise.
///
/// The walk continues in pieces, and restarts only when the stride doubles. After a failed transaction,
/// restore the copy from before.
struct Thinning {
  var oldestKept: UInt64 = 0
  private let limits: StoreLimits
  private(set) var stride: UInt64 = 1
  /// Everything before it is already thinned.
  private var position: UInt64 = 0
  private var previousNewest: UInt64?

  /// Minimum number of rows that one commit visits; limited, as a walk must not delay snapshots.
  private static let rowsAtOnce: UInt64 = 20_000

  init(_ limits: StoreLimits) { self.limits = limits }

  mutating func run(_ transaction: borrowing Transaction, _ database: Database, newest: UInt64) throws {
    let thinned = UInt64(max(1, limits.thinned))
    // A small number of rows is never thinned, as one invalid step must not remove the others.
    guard try transaction.count(database) > limits.thinned else { return }
    let below = end(newest: newest)
    while below / stride >= thinned, stride < 1 << 62 {
      stride *= 2
      position = 0
    }
    // Not in very small pieces: a cursor for one row per commit is not worthwhile.
    guard stride > 1, below > position, position == 0 || below - position >= max(1, min(thinned / 16, 4096))
    else { return }
    var cursor = try transaction.cursor(database)
    var entry = try Key.snapshot(rank: 0, step: position).withUnsafeBytes { try cursor.seek($0) }
    // It must be faster than rows are inserted to keep the limit.
    let inserted = newest - min(newest, previousNewest ?? newest)
    previousNewest = newest
    var rows = max(Self.rowsAtOnce, inserted > .max / 2 ? .max : 2 * inserted)
    while let (key, _) = entry, key.count == Key.snapshotBytes, let step = Key.lastNumber(key), step < below {
      if rows == 0 { return }
      rows -= 1
      position = step &+ 1
      if step % stride != 0 { try cursor.delete() }
      entry = try cursor.next()
    }
    position = below
  }

  /// The first step that is not thinned.
  private func end(newest: UInt64) -> UInt64 {
    // Each step has at most one row.
    let whole = UInt64(max(1, limits.snapshots - limits.thinned - limits.snapshots / 16))
    return max(min(oldestKept, newest), newest - min(newest, whole))
  }
}
