/// How often a duration was within each bound. Counts only grow.
public struct Histogram: Hashable, Sendable, Codable {
  /// Upper ends of the buckets in seconds, growing; what is above the last is counted too.
  public let bounds: [Double]
  /// Of each bucket alone, and last of what is above all bounds.
  public private(set) var counts: [UInt64]
  /// In seconds.
  public private(set) var sum = 0.0

  public init(bounds: [Double]) {
    self.bounds = bounds
    counts = Array(repeating: 0, count: bounds.count + 1)
  }

  /// Adds what was counted elsewhere.
  /// - Parameters:
  ///   - counts: of each bucket, as many as there are here; others are left out.
  ///   - sum: in seconds.
  public mutating func add(_ counts: [UInt64], sum: Double) {
    guard counts.count == self.counts.count else { return }
    for (index, count) in counts.enumerated() { self.counts[index] &+= count }
    self.sum += sum
  }

  public var total: UInt64 { counts.reduce(0, &+) }
}
