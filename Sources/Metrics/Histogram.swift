/// A histogram of durations. Its counts never decrease.
public struct Histogram: Hashable, Sendable, Codable {
  /// Upper bounds of the buckets in seconds, ascending, without that of the last bucket.
  public let bounds: [Double]
  /// For each bucket alone; the last is for values above all bounds.
  public private(set) var counts: [UInt64]
  /// In seconds.
  public private(set) var sum = 0.0

  public init(bounds: [Double]) {
    self.bounds = bounds
    counts = Array(repeating: 0, count: bounds.count + 1)
  }

  /// Adds counts from elsewhere.
  /// - Parameters:
  ///   - counts: for each bucket; ignored if the number of buckets differs.
  ///   - sum: in seconds.
  public mutating func add(_ counts: [UInt64], sum: Double) {
    guard counts.count == self.counts.count else { return }
    for (index, count) in counts.enumerated() { self.counts[index] &+= count }
    self.sum += sum
  }

  public var total: UInt64 { counts.reduce(0, &+) }
}
