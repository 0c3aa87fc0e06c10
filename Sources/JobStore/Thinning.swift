import LMDB

/// Keeps `snapshots` bounded whatever the length of the run: from the oldest kept checkpoint on every
/// step, before it only multiples of a stride that doubles when they become too many; and of a
/// replay window that is itself too long, the older half like history.
struct Thinning {
  var oldestKept: UInt64 = 0
  private let limits: StoreLimits
  private var stride: UInt64 = 1
  /// Where the walk goes on.
  private var position: UInt64 = 0
  private var kept = 0
  private var previousBelow: UInt64 = 0

  /// Rows that one commit may look at: a walk must not hold up the snapshots.
  private static let rowsAtOnce = 20_000

  init(_ limits: StoreLimits) { self.limits = limits }

  mutating func run(_ transaction: borrowing Transaction, _ database: Database, newest: UInt64) throws {
    let total = try transaction.count(database)
    var below = oldestKept
    if total > limits.snapshots { below = max(below, newest - min(newest, UInt64(limits.snapshots / 2))) }
    // Worth a walk only when enough has become history since the last one.
    let step = UInt64(max(1, limits.thinned / 16))
    guard total > limits.thinned, position > 0 || below >= previousBelow + step else { return }
    let cursor = try transaction.cursor(database)
    var entry = try Key.snapshot(rank: 0, step: position).withUnsafeBytes { try cursor.seek($0) }
    for _ in 0..<Self.rowsAtOnce {
      guard let (key, _) = entry, let step = Key.lastNumber(key), step < below else {
        return endWalk(below)
      }
      position = step + 1
      if step % stride == 0 {
        kept += 1
      } else {
        try cursor.delete()
      }
      entry = try cursor.next()
    }
  }

  private mutating func endWalk(_ below: UInt64) {
    if kept > limits.thinned { stride *= 2 }
    // With a wider stride all of history is walked again.
    previousBelow = kept > limits.thinned ? 0 : below
    position = 0
    kept = 0
  }
}
