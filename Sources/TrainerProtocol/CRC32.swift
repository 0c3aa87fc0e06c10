import CTrainerProtocol

/// CRC-32 as in zlib, PNG and Ethernet: polynomial 0xEDB88320, reflected, inverted at both ends. With processor
/// instructions if available, else sixteen bytes at a time by table ("slicing-by-16", after Kounavis and Berry,
/// 2005).
public enum CRC32 {
  private static let isFast = hf_crc32_is_fast() != 0

  /// 16 tables of 256 entries, in raw memory, as an array would need a bounds check for every byte. Never freed.
  nonisolated(unsafe) private static let tables: UnsafePointer<UInt32> = {
    let tables = UnsafeMutablePointer<UInt32>.allocate(capacity: 16 * 256)
    for byte in 0..<256 {
      var value = UInt32(byte)
      for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0xedb8_8320 : value >> 1 }
      tables[byte] = value
    }
    for index in 256..<16 * 256 {
      let previous = tables[index - 256]
      tables[index] = previous >> 8 ^ tables[Int(previous & 0xff)]
    }
    return UnsafePointer(tables)
  }()

  /// - Parameter initial: the checksum of the preceding bytes.
  public static func checksum(_ bytes: UnsafeRawBufferPointer, _ initial: UInt32 = 0) -> UInt32 {
    guard var pointer = bytes.baseAddress else { return initial }
    var crc = ~initial
    var count = bytes.count
    if count >= 16, isFast {
      let whole = count & ~15
      crc = hf_crc32_blocks(crc, pointer.assumingMemoryBound(to: UInt8.self), whole)
      pointer += whole
      count &-= whole
      if count == 0 { return ~crc }
    }
    return ~byTable(crc, pointer, count)
  }

  /// - Parameter initial: an inverted remainder, like the result.
  static func byTable(_ initial: UInt32, _ start: UnsafeRawPointer, _ length: Int) -> UInt32 {
    let tables = tables
    var pointer = start
    var count = length
    var crc = initial
    while count >= 16 {
      let a = pointer.loadUnaligned(as: UInt32.self).littleEndian ^ crc
      let b = pointer.loadUnaligned(fromByteOffset: 4, as: UInt32.self).littleEndian
      let c = pointer.loadUnaligned(fromByteOffset: 8, as: UInt32.self).littleEndian
      let d = pointer.loadUnaligned(fromByteOffset: 12, as: UInt32.self).littleEndian
      crc = word(tables, a, 12) ^ word(tables, b, 8) ^ word(tables, c, 4) ^ word(tables, d, 0)
      pointer += 16
      count &-= 16
    }
    if count >= 8 {
      let a = pointer.loadUnaligned(as: UInt32.self).littleEndian ^ crc
      let b = pointer.loadUnaligned(fromByteOffset: 4, as: UInt32.self).littleEndian
      crc = word(tables, a, 4) ^ word(tables, b, 0)
      pointer += 8
      count &-= 8
    }
    if count >= 4 {
      crc = word(tables, pointer.loadUnaligned(as: UInt32.self).littleEndian ^ crc, 0)
      pointer += 4
      count &-= 4
    }
    while count > 0 {
      crc = crc >> 8 ^ tables[Int((crc ^ UInt32(pointer.load(as: UInt8.self))) & 0xff)]
      pointer += 1
      count &-= 1
    }
    return crc
  }

  /// The contribution of four bytes that are `distance` bytes before the end of a block of 16.
  @inline(__always)
  private static func word(_ tables: UnsafePointer<UInt32>, _ value: UInt32, _ distance: Int) -> UInt32 {
    tables[(distance &+ 3) &* 256 &+ Int(value & 0xff)]
      ^ tables[(distance &+ 2) &* 256 &+ Int(value >> 8 & 0xff)]
      ^ tables[(distance &+ 1) &* 256 &+ Int(value >> 16 & 0xff)]
      ^ tables[distance &* 256 &+ Int(value >> 24)]
  }
}
