import LMDB
import Reporting
import TrainerProtocol

/// Carries out what was submitted.
extension WriterLoop {
  func apply(_ transaction: borrowing Transaction) throws {
    var event = nextEvent
    for submission in waiting {
      for operation in submission.operations { try apply(operation, transaction, &event) }
    }
  }

  private func apply(
    _ operation: StoreOperation, _ transaction: borrowing Transaction, _ event: inout UInt64
  ) throws {
    let database =
      switch operation.target {
      case .checkpoints: store.databases.checkpoints
      case .attempts: store.databases.attempts
      case .events: store.databases.events
      case .meta: store.databases.meta
      }
    guard let value = operation.value else {
      _ = try operation.key.withUnsafeBytes { try transaction.delete(database, $0) }
      return
    }
    if operation.target == .attempts { try sumUp(before: operation.key, transaction) }
    guard operation.target == .events else {
      return try JobStore.put(transaction, database, operation.key, value)
    }
    guard var record: EventRecord = JSON.decode(value) else { return }
    record.sequence = event
    try JobStore.put(transaction, database, Key.number(event), JSON.encode(record))
    if event > limits.events {
      _ = try Key.number(event - limits.events).withUnsafeBytes { try transaction.delete(database, $0) }
    }
    event += 1
  }

  /// A new attempt begins: what is known of those before it changes no more.
  private func sumUp(before key: [UInt8], _ transaction: borrowing Transaction) throws {
    let attempts = store.databases.attempts
    guard let number = key.withUnsafeBytes({ Key.lastNumber($0) }),
      try key.withUnsafeBytes({ try transaction.get(attempts, $0) }) == nil
    else { return }
    var totals: AttemptTotals? = try Array(AttemptTotals.document.utf8).withUnsafeBytes { key in
      try transaction.get(store.databases.meta, key).flatMap { JSON.decode($0) }
    }
    // Of attempts that are yet to come: it is damaged.
    if totals?.through ?? 0 >= number { totals = nil }
    var sums = totals ?? AttemptTotals()
    var cursor = try transaction.cursor(attempts)
    var entry = try Key.number(sums.through + 1).withUnsafeBytes { try cursor.seek($0) }
    while let (key, value) = entry, let earlier = Key.lastNumber(key), earlier < number {
      if var attempt: AttemptRecord = JSON.decode(value) {
        attempt.attempt = earlier
        sums.add(attempt)
      }
      sums.pass(earlier)
      entry = try cursor.next()
    }
    try JobStore.put(
      transaction, store.databases.meta, Array(AttemptTotals.document.utf8), JSON.encode(sums))
  }

  /// A store of a version that kept no sums. All its attempts are read once, a page at a time, and before
  /// anything else: the commit that begins an attempt must not be the one that takes so long.
  func sumUpOldStore() {
    do {
      guard try store.meta(AttemptTotals.document) == nil, try store.attempts.count > 1 else { return }
      let sums = try store.attemptSummary().earlier
      try environment.write { transaction in
        try JobStore.put(
          transaction, store.databases.meta, Array(AttemptTotals.document.utf8), JSON.encode(sums))
      }
    } catch {
      // The next attempt's commit does it, or says why it cannot.
    }
  }
}
