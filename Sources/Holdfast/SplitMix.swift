import Checkpoints
import TrainerProtocol

/// SplitMix64 (Steele, Lea and Flood, 2014).
enum SplitMix {
  @inline(__always)
  static func next(_ state: inout UInt64) -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    return mix(state)
  }

  @inline(__always)
  static func mix(_ word: UInt64) -> UInt64 {
    var value = word
    value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
    return value ^ (value >> 31)
  }
}
