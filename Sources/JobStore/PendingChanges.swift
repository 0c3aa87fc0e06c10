import LMDB
import Reporting

/// Submitted changes that are not durable yet, in order.
struct PendingChanges {
  private(set) var submissions: [StoreWriter.Submission] = []
  private var nextEvent: UInt64
  private let store: JobStore
  /// Events that the store retains.
  private let largestEventCount: UInt64

  init(_ store: JobStore, _ limits: StoreLimits) {
    self.store = store
    largestEventCount = limits.events
    nextEvent = ((try? store.events.lastNumber) ?? 0) + 1
  }

  var isEmpty: Bool { submissions.isEmpty }

  /// Whether a caller waits for one of them.
  var isAwaited: Bool { submissions.contains { $0.completion != nil } }

  /// Whether none of them requires an immediate commit.
  var canWait: Bool { submissions.allSatisfy(\.canWait) }

  mutating func append(_ more: [StoreWriter.Submission]) { submissions += more }

  /// The new store may have events that this writer did not write.
  mutating func storeWasReplaced() {
    nextEvent = max(nextEvent, ((try? store.events.lastNumber) ?? 0) &+ 1)
  }

  // MARK: Writing

  func apply(_ transaction: borrowing Transaction) throws {
    var event = nextEvent
    for submission in submissions {
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
    if operation.target == .attempts {
      try AttemptTotals.update(before: operation.key, store.databases, transaction)
    }
    guard operation.target == .events else {
      return try JobStore.put(transaction, database, operation.key, value)
    }
    guard var record: EventRecord = JSON.decode(value) else { return }
    record.sequence = event
    try JobStore.put(transaction, database, Key.number(event), JSON.encode(record))
    if event > largestEventCount {
      _ = try Key.number(event - largestEventCount).withUnsafeBytes { try transaction.delete(database, $0) }
    }
    event += 1
  }

  /// Their commit is durable.
  mutating func complete() {
    guard !submissions.isEmpty else { return }
    nextEvent += UInt64(submissions.flatMap(\.operations).filter { $0.target == .events }.count)
    let done = submissions
    submissions = []
    for submission in done { submission.completion?(true) }
  }

  /// The commit failed: notifies callers and retains the changes for the next try.
  mutating func fail() {
    for submission in submissions { submission.completion?(false) }
    for index in submissions.indices { submissions[index].completion = nil }
  }

  // MARK: While the store cannot be written

  /// Number of submissions from which compacting is worthwhile.
  private static let compactedFrom = 5000
  /// Maximum number of retained events and attempts.
  private static let largestHistory = 10_000

  /// Retains only the newest version of each record and only the newest events and attempts, as the store may
  /// be unwritable for weeks, with ten changes per attempt. Requires that no caller waits.
  /// - Returns: the number of dropped events and attempts.
  mutating func compactIfMany(from many: Int = compactedFrom, keep history: Int = largestHistory) -> UInt64 {
    guard submissions.count >= many else { return 0 }
    var seen: [StoreOperation.Target: Set<[UInt8]>] = [:]
    var kept: [StoreOperation] = []
    var left = history
    var dropped: UInt64 = 0
    // Newest first.
    for operation in submissions.reversed().lazy.flatMap({ $0.operations.reversed() }) {
      // Events have no keys before they are written; all are distinct.
      let isEvent = operation.target == .events
      guard isEvent || seen[operation.target, default: []].insert(operation.key).inserted else {
        continue
      }
      if isEvent || operation.target == .attempts {
        guard left > 0 else {
          dropped += 1
          continue
        }
        left -= 1
      }
      kept.append(operation)
    }
    submissions = [.init(operations: kept.reversed(), completion: nil)]
    return dropped
  }
}
