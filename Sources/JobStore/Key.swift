import TrainerProtocol

/// Keys, big-endian, so that LMDB sorts them by number.
enum Key {
  static func number(_ value: UInt64) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }

  static let numberBytes = 8
  static let snapshotBytes = 12

  static func snapshot(rank: UInt32, step: UInt64) -> [UInt8] {
    withUnsafeBytes(of: rank.bigEndian) { Array($0) } + number(step)
  }

  static func checkpoint(step: UInt64, cut: CutID) -> [UInt8] {
    number(step) + number(cut.high) + number(cut.low)
  }

  /// The number at the end of a key.
  @inline(__always)
  static func lastNumber(_ key: UnsafeRawBufferPointer) -> UInt64? {
    guard key.count >= 8 else { return nil }
    return UInt64(bigEndian: key.loadUnaligned(fromByteOffset: key.count - 8, as: UInt64.self))
  }
}
