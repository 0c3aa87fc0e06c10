/// How long steps took: counted in buckets where the records are read, for a few nanoseconds each. From
/// the trainer's time of a step to that of the next; the clock may have jumped, and a step whose
/// predecessor is not known has no duration: neither is counted.
public struct StepDurations: Sendable {
  /// Upper ends of the buckets.
  public static let bounds: [Duration] =
    [1, 2.5, 5, 10, 25, 50, 100, 250, 500].map { .milliseconds($0) }
    + [1, 2.5, 5, 10, 30, 60, 300].map { .seconds($0) }
  private static let nanoseconds = bounds.map { UInt64($0 / .nanoseconds(1)) }

  /// Of each bucket, and last of what is above all bounds; empty before the first.
  public private(set) var counts: [UInt64] = []
  public private(set) var sumNanoseconds: UInt64 = 0
  private var last: (step: UInt64, timeNs: UInt64)?

  public init() {}

  /// Goes on where `other` ended, with nothing counted yet.
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
