import LMDB

/// Keeps `snapshots` bounded whatever the length of the run: from the oldest kept checkpoint on every
/// step, before it only multiples of a stride, the smallest power of two for which they are not more
/// than `thinned`; and of a history above it that is itself too long, the older part likewise.
///
/// The walk goes on where it ended, in pieces, and begins again only when the stride doubles. It
/// changes only by transactions that committed: whoever loses one takes back an earlier copy.
struct Thinning {
  var oldestKept: UInt64 = 0
  private let limits: StoreLimits
  private(set) var stride: UInt64 = 1
  /// Everything before it is thinned.
  private var position: UInt64 = 0
  private var previousNewest: UInt64?

  /// Rows that one commit looks at, at least: a walk must not hold up the snapshots.
  private static let rowsAtOnce: UInt64 = 20_000

  init(_ limits: StoreLimits) { self.limits = limits }

  mutating func run(_ transaction: borrowing Transaction, _ database: Database, newest: UInt64) throws {
    let thinned = UInt64(max(1, limits.thinned))
    // Few rows are kept whatever their numbers are: one wrong step must not cost the others.
    guard try transaction.count(database) > limits.thinned else { return }
    let below = end(newest: newest)
    while below / stride >= thinned, stride < 1 << 62 {
      stride *= 2
      position = 0
    }
    // In pieces of some size: a cursor for each commit and its one row would not be worth it.
    guard stride > 1, below > position, position == 0 || below - position >= max(1, min(thinned / 16, 4096))
    else { return }
    var cursor = try transaction.cursor(database)
    var entry = try Key.snapshot(rank: 0, step: position).withUnsafeBytes { try cursor.seek($0) }
    // Faster than rows come, or the bound would be none.
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
    // A step has one row, so this many steps have not more rows.
    let whole = UInt64(max(1, limits.snapshots - limits.thinned - limits.snapshots / 16))
    return max(min(oldestKept, newest), newest - min(newest, whole))
  }
}
