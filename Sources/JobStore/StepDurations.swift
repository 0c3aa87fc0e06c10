/// A histogram of step durations, counted while records are read, for a few nanoseconds each. A duration is
/// the difference of the trainer's times of two successive steps. Steps without a known predecessor and
/// negative durations (the clock was set) are not counted.
public struct StepDurations: Sendable {
  /// Upper ends of the buckets.
  public static let bounds: [Duration] =
    [1, 2.5, 5, 10, 25, 50, 100, 250, 500].map { .milliseconds($0) }
    + [1, 2.5, 5, 10, 30, 60, 300].map { .seconds($0) }
  private static let nanoseconds = bounds.map { UInt64($0 / .nanoseconds(1)) }

  /// Count of each bucket; the last one is above all bounds. Empty before the first step.
  public private(set) var counts: [UInt64] = []
  public private(set) var sumNanoseconds: UInt64 = 0
  private var last: (step: UInt64, timeNs: UInt64)?

  public init() {}

  /// Continues after the last step of `other`, with empty buckets.
  init(after other: StepDurations) { last = other.last }

  @inline(__always)
  mutating func add(step: UInt64, timeNs: UInt64) {
    defer { last = (step, timeNs) }
    guard let last, step == last.step &+ 1, timeNs >= last.timeNs else { return }
    if counts.isEmpty { counts = Array(repeating: 0, count: Self.bounds.count + 1) }
    let took = timeNs - last.timeNs
    sumNanoseconds &+= took
    counts[Self.nanoseconds.firstIndex { took <= $0 } ?? Self.bounds.count] &+= 1
  }

}
