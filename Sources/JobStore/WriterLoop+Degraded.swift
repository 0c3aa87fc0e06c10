import LMDB
import POSIX
import TrainerProtocol

/// What the writer does while the store cannot be written: it keeps rows in memory, the oldest given
/// up first, and tries again at longer and longer intervals. The ring is read all the same: the
/// trainer's words must reach the supervisor, and there must be room for them.
extension WriterLoop {
  /// What waits for the store, beside the submissions.
  struct Degradation {
    var backlog = Backlog()
    var newest = Newest()
    /// Events and attempts that were given up.
    var droppedRecords: UInt64 = 0
    var mustReopen: Bool
    var pause: Duration = .milliseconds(500)
    var nextTryAt: UInt64 = 0
    static let longestPause: Duration = .seconds(8)

    init(_ error: any Error) { mustReopen = Self.mustReopen(error) }

    /// Whether nothing helps but to open the store again.
    private static func mustReopen(_ error: any Error) -> Bool {
      guard let error = error as? LMDBError else { return false }
      return error.isPanic || error.isDisturbed || error.isDamage
    }

    mutating func failed(_ error: any Error) {
      if Self.mustReopen(error) { mustReopen = true }
      nextTryAt = Clock.monotonicNanoseconds + UInt64(pause / .nanoseconds(1))
      pause = min(pause * 2, Self.longestPause)
    }
  }

  func degrade(_ error: any Error) {
    degradation = Degradation(error)
    report(.degraded(reason(error)))
  }

  private func reason(_ error: any Error) -> String {
    // LMDB reports a full disk as EIO: a short write. Ask the filesystem before blaming the disk.
    let free = (try? FileSystem.availableBytes(store.directory)) ?? .max
    if free < 1 << 20 { return "the disk of \(store.directory) is full" }
    return "\(error)"
  }

  /// Keeps the trainer's words coming, and tries to write again.
  /// - Returns: whether more is waiting in the ring.
  func retry(_ degradation: Degradation) -> Bool {
    var degradation = degradation
    var drain = newDrain()
    var count = 0
    if let ring {
      var rows: [(UInt64, [UInt8])] = []
      count = drain.drain(ring, limit: limits.batch) { step, row in rows.append((step, row)) }
      if ring.isIntact {
        for (step, row) in rows { degradation.backlog.append(step, row, limit: limits.backlogBytes) }
        ring.releaseConsumed()
      } else {
        drain = newDrain()
        loseRing()
      }
    }
    degradation.newest.take(Newest(drain))
    finish(&drain, durable: false)
    // Whoever waits gets a true answer; without one, a full disk is left alone for a while.
    let isAwaited = waiting.contains { $0.completion != nil }
    if isAwaited || Clock.monotonicNanoseconds >= degradation.nextTryAt { write(&degradation) }
    if self.degradation != nil {
      if waiting.count >= [StoreWriter.Submission].compactedFrom {
        degradation.droppedRecords += waiting.compact()
      }
      self.degradation = degradation
    }
    return count >= limits.batch
  }

  private func write(_ degradation: inout Degradation) {
    do {
      if degradation.mustReopen {
        try openAgain()
        degradation.mustReopen = false
      }
      let audits = try writeBacklog(degradation)
      self.degradation = nil
      completeWaiting()
      for (attempt, audit) in audits where audit.replayed > 0 {
        var drained = Drained(attempt: attempt)
        drained.audit = audit
        drained.heartbeat = heartbeat
        report(.drained(drained))
      }
      report(
        .recovered(
          droppedSnapshots: degradation.backlog.dropped, droppedRecords: degradation.droppedRecords))
    } catch {
      degradation.failed(error)
      // Whoever waits is told; the changes themselves are kept for the next try.
      for submission in waiting { submission.completion?(false) }
      for index in waiting.indices { waiting[index].completion = nil }
    }
  }

  /// - Returns: what comparing with earlier attempts found, by attempt.
  private func writeBacklog(_ degradation: Degradation) throws -> [UInt64: ReplayAudit] {
    let snapshots = store.databases.snapshots
    while true {
      do {
        return try environment.write { transaction in
          var audits: [UInt64: ReplayAudit] = [:]
          for (step, row) in degradation.backlog.rows {
            try Key.snapshot(rank: 0, step: step).withUnsafeBytes { key in
              try row.withUnsafeBytes { row in
                if let recorded = try transaction.get(snapshots, key) {
                  audits[row.word(8), default: ReplayAudit()].compare(
                    step: step, recorded: recorded, with: ReplayAudit.Step(row, degradation.newest),
                    namesByAttempt)
                }
                try transaction.put(snapshots, key, row)
              }
            }
          }
          try keep(degradation.newest, transaction)
          for (attempt, audit) in audits.sorted(by: { $0.key < $1.key }) {
            if let difference = audit.firstDifference { try keep(difference, of: attempt, transaction) }
          }
          try apply(transaction)
          return audits
        }
      } catch let error as LMDBError where error.isMapFull {
        try growMap()
      }
    }
  }
}

/// Rows that wait for the store, the oldest given up first.
struct Backlog {
  private(set) var rows: [(step: UInt64, row: [UInt8])] = []
  private(set) var dropped: UInt64 = 0
  private var bytes = 0

  mutating func append(_ step: UInt64, _ row: [UInt8], limit: Int) {
    rows.append((step, row))
    bytes += row.count + 64
    guard bytes > limit else { return }
    // Half at a time: dropping one by one would move all the others each time.
    let half = rows.count / 2
    dropped += UInt64(half)
    rows.removeFirst(half)
    bytes = rows.reduce(0) { $0 + $1.row.count + 64 }
  }
}

/// What is kept of the newest step only.
struct Newest {
  /// All parts of the loop state, encoded.
  var parts: [UInt8] = []
  /// Step and image of the newest full snapshot.
  var full: [UInt8] = []
  var partCount = 0
  /// Of the parts.
  var attempt: UInt64 = 0
  var metricNames: [String]?
  var namesByAttempt: MetricNames?

  init() {}

  init(_ drain: RingDrain) {
    attempt = drain.attempt
    if drain.drained.snapshots > 0 { (parts, partCount) = (drain.newestParts, drain.newestPartCount) }
    full = drain.newestFull
    metricNames = drain.metricNames
    if metricNames != nil { namesByAttempt = drain.namesByAttempt }
  }

  mutating func take(_ newer: Newest) {
    if !newer.parts.isEmpty { (parts, partCount, attempt) = (newer.parts, newer.partCount, newer.attempt) }
    if !newer.full.isEmpty { full = newer.full }
    if let names = newer.metricNames { metricNames = names }
    if let names = newer.namesByAttempt { namesByAttempt = names }
  }
}

extension ReplayAudit.Step {
  /// A row that waited for the store. The names of its parts are those of the newest one.
  fileprivate init(_ row: UnsafeRawBufferPointer, _ newest: Newest) {
    self.init(
      attempt: row.word(8), epoch: row.word(16), batch: row.word(24), digests: (row.word(48), row.word(56)),
      parts: SnapshotRow.partDigests(row) ?? [], metrics: SnapshotRow.metricBytes(row),
      names: {
        newest.parts.withUnsafeBytes { EncodedParts.auditedNames($0, count: newest.partCount) }
      }, chainedDigests: { nil })
  }
}
