import LMDB
import Reporting
import TrainerProtocol

/// Writes data other than rows: the newest loop state and full snapshot, names, and the first difference of a
/// replay.
final class NewestWriter {
  private let meta: Database
  private var partNames: PartNames

  init(_ store: JobStore) {
    meta = store.databases.meta
    partNames = (try? store.partNamesByAttempt()) ?? PartNames()
  }

  func write(_ newest: Newest, _ transaction: borrowing Transaction) throws {
    if !newest.parts.isEmpty {
      try put("loop_state/0", newest.parts, transaction)
      let names = newest.parts.withUnsafeBytes { EncodedParts.auditedNames($0, count: newest.partCount) }
      partNames.set(
        names.map { .init(kind: .init(rawValue: $0.kind) ?? .other, name: $0.name) }, attempt: newest.attempt)
      try put(PartNames.document, JSON.encode(partNames), transaction)
    }
    if !newest.full.isEmpty {
      try put("full_snapshot/0", newest.full, transaction)
      let digest = withUnsafeBytes(
        of: newest.full.withUnsafeBytes { XXH64.hash($0) }.littleEndian, Array.init)
      try put("full_snapshot_digest/0", digest, transaction)
    }
    if let names = newest.metricNames { try put("metric_names", JSON.encode(names), transaction) }
    if let names = newest.namesByAttempt { try put(MetricNames.document, JSON.encode(names), transaction) }
  }

  /// Written in the same transaction as the rows that replace the compared ones, so that a crash right after
  /// that commit does not lose the difference. An existing one is not overwritten.
  func write(
    _ difference: ReplayAudit.Difference, of attempt: UInt64, _ transaction: borrowing Transaction
  ) throws {
    let key = Array(JobStore.deviationKey.utf8)
    guard try key.withUnsafeBytes({ try transaction.get(meta, $0) }) == nil else { return }
    try put(
      JobStore.deviationKey, JSON.encode(Deviation(attempt: attempt, difference: difference)), transaction)
  }

  private func put(_ key: String, _ value: [UInt8], _ transaction: borrowing Transaction) throws {
    try JobStore.put(transaction, meta, Array(key.utf8), value)
  }
}
