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
    step: UInt64, recorded: UnsafeRawBufferPointer, with snapshot: SnapshotView,
    digests: (rng: UInt64, sampler: UInt64)
  ) {
    guard SnapshotRow.isIntact(recorded) else { return }
    replayed += 1
    guard firstDifference == nil else { return }
    let part: String? =
      if recorded.word(16) != snapshot.epoch || recorded.word(24) != snapshot.batch {
        "position"
      } else if recorded.word(48) != digests.rng {
        "rng"
      } else if recorded.word(56) != digests.sampler {
        "sampler"
      } else if !recorded[SnapshotRow.headerBytes...].elementsEqual(snapshot.metricBytes) {
        "metrics"
      } else {
        nil
      }
    if let part { firstDifference = Difference(step: step, part: part) }
  }
}
