import Checkpoints
import TrainerProtocol

/// A seedable random generator whose state is part of every snapshot: xoshiro256** 1.0 (Blackman and Vigna,
/// 2018), seeded by SplitMix64 as recommended by its authors. Not cryptographically secure.
public final class RandomSource: RandomNumberGenerator {
  /// Four words in separate memory, so that a snapshot copies them without a call.
  let words: UnsafeMutablePointer<UInt64>
  static let wordCount = 4

  public init(seed: UInt64) {
    words = .allocate(capacity: Self.wordCount)
    self.seed(seed)
  }

  deinit { words.deallocate() }

  /// Resets it as if created with `seed`.
  public func seed(_ seed: UInt64) {
    var state = seed
    for index in 0..<Self.wordCount { words[index] = SplitMix.next(&state) }
  }

  @inline(__always)
  public func next() -> UInt64 {
    let result = rotate(words[1] &* 5, 7) &* 9
    let shifted = words[1] << 17
    words[2] ^= words[0]
    words[3] ^= words[1]
    words[1] ^= words[2]
    words[0] ^= words[3]
    words[2] ^= shifted
    words[3] = rotate(words[3], 45)
    return result
  }

  /// Uniform in [0, 1) with 24 bits.
  @inline(__always)
  public func uniform() -> Float { Float(next() >> 40) * 0x1p-24 }

  @inline(__always)
  private func rotate(_ value: UInt64, _ count: UInt64) -> UInt64 {
    value << count | value >> (64 &- count)
  }
}
