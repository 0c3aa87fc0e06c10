import TrainerProtocol

/// Returns the batches of each epoch in an order shuffled by (seed, epoch), and seeks to any position in
/// constant time.
public final class Sampler {
  public let count: Int
  public let batchSize: Int
  /// Whether to skip a smaller last batch.
  public let dropsLast: Bool

  /// The state in snapshots: seed, epoch, position, count, batch size.
  let words: UnsafeMutablePointer<UInt64>
  static let wordCount = 5

  private var permutation: Permutation
  var skips: Set<BatchKey> = []

  struct BatchKey: Hashable {
    var epoch: UInt64
    var batch: UInt64
  }

  /// - Parameters:
  ///   - count: number of samples.
  ///   - batchSize: samples in a batch.
  public init(count: Int, batchSize: Int, seed: UInt64, dropsLast: Bool = false) {
    precondition(count > 0 && batchSize > 0, "a sampler needs samples and a batch size")
    self.count = count
    self.batchSize = batchSize
    self.dropsLast = dropsLast
    words = .allocate(capacity: Self.wordCount)
    words[0] = seed
    words[1] = 0
    words[2] = 0
    words[3] = UInt64(count)
    words[4] = UInt64(batchSize)
    permutation = Permutation(count: count, seed: seed, epoch: 0)
  }

  deinit { words.deallocate() }

  public var seed: UInt64 { words[0] }
  public var epoch: UInt64 { words[1] }
  /// Number of batches of this epoch that were returned or skipped.
  public var position: UInt64 { words[2] }
  public var batchesPerEpoch: Int { dropsLast ? count / batchSize : (count + batchSize - 1) / batchSize }

  /// Seeks to the start of an epoch or any batch of it.
  public func seek(epoch: UInt64, position: UInt64 = 0) {
    words[1] = epoch
    words[2] = position
    permutation = Permutation(count: count, seed: seed, epoch: epoch)
  }

  /// Indices of the next batch's samples; nil at the end of the epoch.
  public func next() -> [Int]? {
    while position < batchesPerEpoch {
      let batch = position
      words[2] += 1
      if !skips.isEmpty, skips.contains(BatchKey(epoch: epoch, batch: batch)) { continue }
      let start = Int(batch) * batchSize
      return (start..<min(start + batchSize, count)).map { permutation($0) }
    }
    return nil
  }

  /// Loads a saved state.
  /// - Returns: a description of a mismatch; nil if there is none.
  func load(_ saved: [UInt64]) -> String? {
    guard saved.count == Self.wordCount else { return "its state is damaged" }
    if saved[3] != words[3] { return "it had \(saved[3]) samples, now \(count)" }
    if saved[4] != words[4] { return "its batch size was \(saved[4]), now \(batchSize)" }
    if saved[0] != words[0] { return "its seed was \(saved[0]), now \(seed)" }
    seek(epoch: saved[1], position: saved[2])
    return nil
  }
}
