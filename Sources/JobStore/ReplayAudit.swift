import TrainerProtocol

/// Compares replayed steps with their records. It compares bits, not values: a NaN equals itself, 0 and -0
/// differ.
public struct ReplayAudit: Hashable, Sendable {
  public private(set) var replayed: UInt64 = 0
  public private(set) var firstDifference: Difference?

  /// A replayed step that differs from its record.
  public struct Difference: Hashable, Sendable, Codable {
    public var step: UInt64
    /// What differs in it, at most `largestItemCount`.
    public var items: [Item]

    public init(step: UInt64, items: [Item]) {
      self.step = step
      self.items = items
    }

    /// The most serious difference: `position`, `rng`, `sampler` or `metrics`.
    public var part: String { items.first?.part ?? "record" }
  }

  public struct Item: Hashable, Sendable, Codable {
    /// A value that `--set` changed, which no replay finds.
    public static let hyperparameter = "hyperparameter"

    /// `position`, `rng`, `sampler`, `metrics` or `hyperparameter`.
    public var part: String
    /// `epoch` or `batch`, or the name of the stream, the sampler or the metric; nil if unknown.
    public var name: String?
    /// The recorded value, if it is a number.
    public var recorded: Double?
    public var replayed: Double?

    public init(part: String, name: String? = nil, recorded: Double? = nil, replayed: Double? = nil) {
      self.part = part
      self.name = name
      self.recorded = recorded
      self.replayed = replayed
    }
  }

  /// A replayed step.
  struct Step {
    var attempt: UInt64
    var epoch: UInt64
    var batch: UInt64
    var digests: (rng: UInt64, sampler: UInt64)
    var parts: [UInt32]
    var metrics: UnsafeRawBufferPointer
    /// Kind and name of each of `parts`, in order; empty if unknown.
    var names: () -> [(kind: UInt8, name: String)]
    /// For rows of format 1; nil if unknown.
    var chainedDigests: () -> (rng: UInt64, sampler: UInt64)?
  }

  static let largestItemCount = 16

  public init() {}

  mutating func compare(
    step: UInt64, recorded: UnsafeRawBufferPointer, with now: Step, _ metricNames: MetricNames
  ) {
    // A row of the same attempt is not a replay: after a crash between commit and release, the supervisor
    // reads its last records again.
    guard SnapshotRow.isIntact(recorded), recorded.word(8) != now.attempt else { return }
    replayed += 1
    guard firstDifference == nil else { return }
    var items = Self.positions(recorded, now)
    items += Self.parts(recorded, now)
    items += metricNames.differences(
      SnapshotRow.metricBytes(recorded), of: recorded.word(8), from: now.metrics, of: now.attempt)
    guard !items.isEmpty else { return }
    firstDifference = Difference(step: step, items: Array(items.prefix(Self.largestItemCount)))
  }

  private static func positions(_ recorded: UnsafeRawBufferPointer, _ now: Step) -> [Item] {
    [("epoch", recorded.word(16), now.epoch), ("batch", recorded.word(24), now.batch)].filter { $0.1 != $0.2 }
      .map { Item(part: "position", name: $0.0, recorded: Double($0.1), replayed: Double($0.2)) }
  }

  private static func parts(_ recorded: UnsafeRawBufferPointer, _ now: Step) -> [Item] {
    let old = (rng: recorded.word(48), sampler: recorded.word(56))
    guard let oldParts = SnapshotRow.partDigests(recorded) else {
      // Written by an earlier version, with only one digest of each kind.
      guard let chained = now.chainedDigests() else { return [] }
      return (old.rng == chained.rng ? [] : [Item(part: "rng")])
        + (old.sampler == chained.sampler ? [] : [Item(part: "sampler")])
    }
    var kinds: [String] = []
    if old.rng != now.digests.rng { kinds.append("rng") }
    if old.sampler != now.digests.sampler { kinds.append("sampler") }
    guard !kinds.isEmpty else { return [] }
    let known = Set(oldParts)
    let names = now.names()
    let different =
      names.count == now.parts.count ? zip(names, now.parts).filter { !known.contains($0.1) }.map(\.0) : []
    return kinds.flatMap { part in
      let kind = part == "rng" ? LoopState.Part.Kind.rng : .sampler
      let named = different.filter { $0.kind == kind.rawValue }.map { Item(part: part, name: $0.name) }
      // No current part differs, so one was removed.
      return named.isEmpty ? [Item(part: part)] : named
    }
  }
}
