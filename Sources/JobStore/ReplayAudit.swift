import TrainerProtocol

/// Compares what a resumed attempt does with what was recorded of the same steps before. Bits, not
/// values: a NaN equals itself, 0 and -0 differ.
public struct ReplayAudit: Hashable, Sendable {
  public private(set) var replayed: UInt64 = 0
  public private(set) var firstDifference: Difference?

  public struct Difference: Hashable, Sendable {
    public var step: UInt64
    /// `rng`, `sampler`, `metrics` or `position`.
    public var part: String
  }

  public init() {}

  mutating func compare(
    step: UInt64, recorded: UnsafeRawBufferPointer, with snapshot: SnapshotView, attempt: UInt64,
    digests: (rng: UInt64, sampler: UInt64)
  ) {
    compare(
      step: step, recorded: recorded, attempt: attempt, epoch: snapshot.epoch, batch: snapshot.batch,
      digests: digests, metrics: snapshot.metricBytes)
  }

  /// - Parameter row: as `SnapshotRow` writes it.
  mutating func compare(step: UInt64, recorded: UnsafeRawBufferPointer, with row: UnsafeRawBufferPointer) {
    compare(
      step: step, recorded: recorded, attempt: row.word(8), epoch: row.word(16), batch: row.word(24),
      digests: (row.word(48), row.word(56)),
      metrics: UnsafeRawBufferPointer(rebasing: row[SnapshotRow.headerBytes...]))
  }

  private mutating func compare(
    step: UInt64, recorded: UnsafeRawBufferPointer, attempt: UInt64, epoch: UInt64, batch: UInt64,
    digests: (rng: UInt64, sampler: UInt64), metrics: UnsafeRawBufferPointer
  ) {
    // A row of the same attempt is no replay: a supervisor that died between commit and release reads
    // its last records again.
    guard SnapshotRow.isIntact(recorded), recorded.word(8) != attempt else { return }
    replayed += 1
    guard firstDifference == nil else { return }
    let part: String? =
      if recorded.word(16) != epoch || recorded.word(24) != batch {
        "position"
      } else if recorded.word(48) != digests.rng {
        "rng"
      } else if recorded.word(56) != digests.sampler {
        "sampler"
      } else if !recorded[SnapshotRow.headerBytes...].elementsEqual(metrics) {
        "metrics"
      } else {
        nil
      }
    if let part { firstDifference = Difference(step: step, part: part) }
  }
}
