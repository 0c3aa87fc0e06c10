import LMDB
import Reporting

extension AttemptTotals {
  /// A new attempt begins: what is known of those before it changes no more.
  /// - Parameter key: of the new attempt.
  static func update(
    before key: [UInt8], _ databases: JobStore.Databases, _ transaction: borrowing Transaction
  ) throws {
    guard let number = key.withUnsafeBytes({ Key.lastNumber($0) }),
      try key.withUnsafeBytes({ try transaction.get(databases.attempts, $0) }) == nil
    else { return }
    var totals: AttemptTotals? = try Array(document.utf8).withUnsafeBytes { key in
      try transaction.get(databases.meta, key).flatMap { JSON.decode($0) }
    }
    // Of attempts that are yet to come: it is damaged.
    if totals?.through ?? 0 >= number { totals = nil }
    var sums = totals ?? AttemptTotals()
    var cursor = try transaction.cursor(databases.attempts)
    var entry = try Key.number(sums.through + 1).withUnsafeBytes { try cursor.seek($0) }
    while let (key, value) = entry, let earlier = Key.lastNumber(key), earlier < number {
      if var attempt: AttemptRecord = JSON.decode(value) {
        attempt.attempt = earlier
        sums.add(attempt)
      }
      sums.pass(earlier)
      entry = try cursor.next()
    }
    try sums.put(databases, transaction)
  }

  /// Adds the sums to a store of a version that had none. All its attempts are read once, a page at a time, and
  /// before anything else: the commit that begins an attempt must not be the one that takes so long.
  static func addIfMissing(to store: JobStore, _ environment: Environment) {
    do {
      guard try store.meta(document) == nil, try store.attempts.count > 1 else { return }
      let sums = try store.attemptSummary().earlier
      try environment.write { transaction in try sums.put(store.databases, transaction) }
    } catch {
      // The next attempt's commit does it, or reports why it cannot.
    }
  }

  private func put(_ databases: JobStore.Databases, _ transaction: borrowing Transaction) throws {
    try JobStore.put(transaction, databases.meta, Array(Self.document.utf8), JSON.encode(self))
  }
}
