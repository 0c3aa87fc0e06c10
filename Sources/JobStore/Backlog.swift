import LMDB
import TrainerProtocol

/// Rows to be written when the store becomes writable again. Beyond a limit, the oldest are dropped.
struct Backlog {
  private(set) var rows: [(step: UInt64, row: [UInt8])] = []
  private(set) var dropped: UInt64 = 0
  private(set) var newest = Newest()
  private var bytes = 0
  /// Maximum size of the rows in memory, in bytes.
  private let limit: Int

  init(_ limits: StoreLimits) { limit = limits.backlogBytes }

  mutating func append(_ more: [(step: UInt64, row: [UInt8])], _ newer: Newest) {
    newest.update(with: newer)
    for (step, row) in more { append(step, row) }
  }

  private mutating func append(_ step: UInt64, _ row: [UInt8]) {
    rows.append((step, row))
    bytes += row.count + 64
    guard bytes > limit else { return }
    // Half at a time, as each removal moves the remaining rows.
    let half = rows.count / 2
    dropped += UInt64(half)
    rows.removeFirst(half)
    bytes = rows.reduce(0) { $0 + $1.row.count + 64 }
  }

  /// - Returns: results of the comparison with earlier attempts, by attempt.
  func write(
    _ transaction: borrowing Transaction, _ snapshots: Database, _ namesByAttempt: MetricNames
  ) throws -> [UInt64: ReplayAudit] {
    var audits: [UInt64: ReplayAudit] = [:]
    for (step, row) in rows {
      try Key.snapshot(rank: 0, step: step).withUnsafeBytes { key in
        try row.withUnsafeBytes { row in
          if let recorded = try transaction.get(snapshots, key) {
            audits[row.word(8), default: ReplayAudit()].compare(
              step: step, recorded: recorded, with: ReplayAudit.Step(row, newest), namesByAttempt)
          }
          try transaction.put(snapshots, key, row)
        }
      }
    }
    return audits
  }
}

extension ReplayAudit.Step {
  /// For a row of the backlog. Part names are those of the newest row.
  fileprivate init(_ row: UnsafeRawBufferPointer, _ newest: Newest) {
    self.init(
      attempt: row.word(8), epoch: row.word(16), batch: row.word(24), digests: (row.word(48), row.word(56)),
      parts: SnapshotRow.partDigests(row) ?? [], metrics: SnapshotRow.metricBytes(row),
      names: {
        newest.parts.withUnsafeBytes { EncodedParts.auditedNames($0, count: newest.partCount) }
      }, chainedDigests: { nil })
  }
}
