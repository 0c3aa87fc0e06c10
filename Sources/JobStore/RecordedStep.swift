import LMDB
public import TrainerProtocol

/// The record of one step, with names.
public struct RecordedStep: Sendable {
  public struct Part: Sendable {
    /// nil if unknown.
    public var kind: LoopState.Part.Kind?
    public var name: String
    /// The lower half of the XXH64 of its bytes, seeded with that of its name.
    public var digest: UInt32
  }

  public var row: SnapshotRow
  public var metrics: [(name: String, value: Double)]
  /// Random streams and samplers, in the trainer's order.
  public var parts: [Part]

  init(_ row: SnapshotRow, _ metricNames: MetricNames, _ partNames: PartNames) {
    self.row = row
    let names = metricNames.names(of: row.attempt)
    metrics = row.metrics.enumerated().map { ($0 < names.count ? names[$0] : "#\($0 + 1)", $1) }
    let known = partNames.parts(of: row.attempt)
    // Rows from before a part was added have fewer digests, and it is unknown of which parts.
    let isKnown = known.count == row.partDigests.count
    parts = row.partDigests.enumerated().map { index, digest in
      Part(
        kind: isKnown ? known[index].kind : nil, name: isKnown ? known[index].name : "#\(index + 1)",
        digest: digest)
    }
  }
}

extension JobStore {
  /// - Returns: nil if the step was not recorded or was thinned out, or its row is damaged.
  public func recordedStep(_ step: UInt64) throws(StoreError) -> RecordedStep? {
    guard let row = try snapshot(at: step) else { return nil }
    return RecordedStep(row, try metricNamesByAttempt(), try partNamesByAttempt())
  }

  /// Calls `body` with the newest `limit` steps or all, oldest first.
  public func forEachRecordedStep(newest limit: Int?, _ body: (RecordedStep) throws -> Void) throws {
    let (metricNames, partNames) = (try metricNamesByAttempt(), try partNamesByAttempt())
    var next: UInt64 = try limit.map { count throws(StoreError) in try firstStep(ofNewest: count) } ?? 0
    while true {
      let rows = try snapshots(from: next, limit: Self.pageRows)
      for row in rows { try body(RecordedStep(row, metricNames, partNames)) }
      guard let last = rows.last?.step, last < .max else { return }
      next = last + 1
    }
  }

  private static var pageRows: Int { 4096 }

  func metricNamesByAttempt() throws(StoreError) -> MetricNames {
    if let names: MetricNames = try document(MetricNames.document) { return names }
    return MetricNames(ofAll: try metricNames())
  }

  func partNamesByAttempt() throws(StoreError) -> PartNames {
    try document(PartNames.document) ?? PartNames()
  }

  private func firstStep(ofNewest count: Int) throws(StoreError) -> UInt64 {
    try read { transaction in
      let cursor = try transaction.cursor(databases.snapshots)
      var entry = try cursor.last()
      var first: UInt64 = 0
      var passed = 0
      while let (key, _) = entry, passed < count {
        first = Key.lastNumber(key) ?? first
        passed += 1
        entry = try cursor.previous()
      }
      return first
    }
  }

  /// At most `limit` intact rows of steps from `step` on.
  private func snapshots(from step: UInt64, limit: Int) throws(StoreError) -> [SnapshotRow] {
    try read { transaction in
      let cursor = try transaction.cursor(databases.snapshots)
      var entry = try Key.snapshot(rank: 0, step: step).withUnsafeBytes { try cursor.seek($0) }
      var rows: [SnapshotRow] = []
      while let (key, value) = entry, rows.count < limit {
        if let step = Key.lastNumber(key), let row = SnapshotRow(step: step, value) { rows.append(row) }
        entry = try cursor.next()
      }
      return rows
    }
  }
}
