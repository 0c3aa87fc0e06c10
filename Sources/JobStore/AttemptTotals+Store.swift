import LMDB
import Reporting

extension AttemptTotals {
  /// Adds all attempts before a new one to the sums, as their records are final.
  /// - Parameter key: key of the new attempt.
  static func update(
    before key: [UInt8], _ databases: JobStore.Databases, _ transaction: borrowing Transaction
  ) throws {
    guard let number = key.withUnsafeBytes({ Key.lastNumber($0) }),
      try key.withUnsafeBytes({ try transaction.get(databases.attempts, $0) }) == nil
    else { return }
    var totals: AttemptTotals? = try Array(document.utf8).withUnsafeBytes { key in
      try transaction.get(databases.meta, key).flatMap { JSON.decode($0) }
    }
    // Sums that include this attempt or later ones are damaged.
    if totals?.through ?? 0 >= number { totals = nil }
    var sums = totals ?? AttemptTotals()
    var cursor = try transaction.cursor(databases.attempts)
    var entry = try Key.number(sums.through + 1).withUnsafeBytes { try cursor.seek($0) }
    while let (key, value) = entry, let earlier = Key.lastNumber(key), earlier < number {
      if var attempt: AttemptRecord = JSON.decode(value) {
        attempt.attempt = earlier
        sums.add(attempt)
      }
      sums.markIncluded(earlier)
      entry = try cursor.next()
    }
    try sums.put(databases, transaction)
  }

  /// Adds the sums to a store of an earlier version. Reads all attempts once, page by page, before anything
  /// else, so that the commit that begins an attempt is not delayed.
  static func addIfMissing(to store: JobStore, _ environment: Environment) {
    do {
      guard try store.meta(document) == nil, try store.attempts.count > 1 else { return }
      let sums = try store.attemptSummary().earlier
      try environment.write { transaction in try sums.put(store.databases, transaction) }
    } catch {
      // The next attempt's commit will try again and report the error.
    }
  }

  private func put(_ databases: JobStore.Databases, _ transaction: borrowing Transaction) throws {
    try JobStore.put(transaction, databases.meta, Array(Self.document.utf8), JSON.encode(self))
  }
}
