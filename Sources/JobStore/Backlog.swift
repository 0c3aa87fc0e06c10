import LMDB
import TrainerProtocol

/// Rows that wait for a store that cannot be written; beyond a limit the oldest are given up.
struct Backlog {
  private(set) var rows: [(step: UInt64, row: [UInt8])] = []
  private(set) var dropped: UInt64 = 0
  private(set) var newest = Newest()
  private var bytes = 0
  /// Rows in memory, in bytes.
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
    // Half at a time: dropping one by one would move all the others each time.
    let half = rows.count / 2
    dropped += UInt64(half)
    rows.removeFirst(half)
    bytes = rows.reduce(0) { $0 + $1.row.count + 64 }
  }

  /// - Returns: what comparing with earlier attempts found, by attempt.
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
