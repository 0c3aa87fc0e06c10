/// A computed shuffle: a keyed permutation of 0..<count with constant-time access to any index, so that a
/// resumed epoch does not have to repeat earlier draws.
///
/// A balanced Feistel network (Luby and Rackoff, 1988) over the next even number of bits, walked
/// until it falls inside the range (Black and Rogaway, 2002): under four rounds of the network on
/// average.
struct Permutation {
  private let count: UInt64
  private let halfBits: UInt64
  private let mask: UInt64
  private let keys: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)

  init(count: Int, seed: UInt64, epoch: UInt64) {
    self.count = UInt64(count)
    let bits = UInt64(max(2, UInt64.bitWidth - UInt64(max(count, 2) - 1).leadingZeroBitCount))
    halfBits = (bits + 1) / 2
    mask = (1 << halfBits) - 1
    var state = SplitMix.mix(seed) ^ epoch &* 0xd134_2543_de82_ef95
    func key() -> UInt64 { SplitMix.next(&state) }
    keys = (key(), key(), key(), key(), key(), key())
  }

  /// - Parameter index: in 0..<count.
  func callAsFunction(_ index: Int) -> Int {
    var value = UInt64(index)
    repeat { value = network(value) } while value >= count
    return Int(value)
  }

  private func network(_ value: UInt64) -> UInt64 {
    var left = value >> halfBits
    var right = value & mask
    func round(_ key: UInt64) { (left, right) = (right, left ^ (SplitMix.mix(right ^ key) & mask)) }
    round(keys.0)
    round(keys.1)
    round(keys.2)
    round(keys.3)
    round(keys.4)
    round(keys.5)
    return left << halfBits | right
  }
}
