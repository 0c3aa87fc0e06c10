import Glibc

/// A page of `data.mdb` as bytes, which may be anything: `MDB_page`, `MDB_node` and `MDB_db` of LMDB 0.9 on a
/// 64-bit machine. Nothing outside of the page is ever looked at.
struct Page {
  static let headerBytes = 16
  static let nodeBytes = 8
  /// Of an `MDB_db`.
  static let recordBytes = 48
  /// LMDB's cursor has room for as many.
  static let deepest = 32
  /// A root of no tree.
  static let none = UInt64.max

  private static let branch: UInt16 = 1
  private static let leaf: UInt16 = 2
  private static let overflow: UInt16 = 4
  private static let kinds: UInt16 = 0x6f

  /// The key and the value of an entry, or the page below it.
  struct Node {
    let key: UnsafeRawBufferPointer
    /// Of a branch.
    let child: UInt64
    /// Of a leaf: bytes of the value, which may lie on overflow pages.
    let valueBytes: Int
    let isOnOverflowPages: Bool
    let isDatabase: Bool
    /// What the leaf itself holds of the value: all of it, or the number of its first overflow page.
    let inline: UnsafeRawBufferPointer
    /// That the page is used for.
    let usedBytes: Int
  }

  let bytes: UnsafeRawBufferPointer
  let isLeaf: Bool
  let count: Int
  private let upper: Int

  /// For entries.
  var usedBytes: Int { bytes.count - upper }

  /// - Returns: nil for anything else than the branch or leaf page `number`.
  init?(_ bytes: UnsafeRawBufferPointer, number: UInt64) {
    guard bytes.count > Self.headerBytes, bytes.word(0) == number else { return nil }
    let kind = bytes.half(10) & Self.kinds
    guard kind == Self.leaf || kind == Self.branch else { return nil }
    let lower = Int(bytes.half(12))
    upper = Int(bytes.half(14))
    guard lower >= Self.headerBytes, lower <= upper, upper <= bytes.count, lower % 2 == 0 else { return nil }
    isLeaf = kind == Self.leaf
    count = (lower - Self.headerBytes) / 2
    // LMDB keeps no empty page.
    guard count >= (isLeaf ? 1 : 2) else { return nil }
    self.bytes = bytes
  }

  /// - Returns: nil when it does not lie within the page.
  func node(_ index: Int) -> Node? {
    let at = Int(bytes.half(Self.headerBytes + index * 2))
    guard at >= upper, at % 2 == 0, at + Self.nodeBytes <= bytes.count else { return nil }
    let flags = bytes.half(at + 4)
    let keyEnd = at + Self.nodeBytes + Int(bytes.half(at + 6))
    guard keyEnd <= bytes.count else { return nil }
    let key = UnsafeRawBufferPointer(rebasing: bytes[(at + Self.nodeBytes)..<keyEnd])
    let low = UInt64(bytes.half(at)) | UInt64(bytes.half(at + 2)) << 16
    guard isLeaf else {
      let empty = UnsafeRawBufferPointer(rebasing: bytes[keyEnd..<keyEnd])
      return Node(
        key: key, child: low | UInt64(flags) << 32, valueBytes: 0, isOnOverflowPages: false,
        isDatabase: false, inline: empty, usedBytes: (keyEnd - at + 1) & ~1)
    }
    // 1: on overflow pages; 2: a database. Duplicates, which we do not have, are laid out otherwise.
    guard flags & ~3 == 0 else { return nil }
    let isBig = flags & 1 != 0
    let inlineBytes = isBig ? 8 : Int(low)
    guard keyEnd + inlineBytes <= bytes.count else { return nil }
    return Node(
      key: key, child: 0, valueBytes: Int(low), isOnOverflowPages: isBig, isDatabase: flags & 2 != 0,
      inline: UnsafeRawBufferPointer(rebasing: bytes[keyEnd..<(keyEnd + inlineBytes)]),
      usedBytes: (keyEnd + inlineBytes - at + 1) & ~1)
  }

  /// Index of the first entry whose key is `key` or greater, by binary search; `count` where there is none.
  /// Of a branch, whose first key stands for anything that is less, from 1.
  /// - Returns: nil when an entry does not lie within the page.
  func lowerBound(_ key: UnsafeRawBufferPointer) -> Int? {
    var low = isLeaf ? 0 : 1
    var high = count
    while low < high {
      let middle = (low + high) / 2
      guard let node = node(middle) else { return nil }
      if node.key.isLess(than: key) { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// - Returns: how many overflow pages begin at the page `number`, by its header; nil when it is none.
  static func overflowPages(_ header: UnsafeRawBufferPointer, number: UInt64) -> UInt64? {
    guard header.count >= headerBytes, header.word(0) == number, header.half(10) & kinds == overflow
    else { return nil }
    return UInt64(header.half(12)) | UInt64(header.half(14)) << 16
  }
}

extension UnsafeRawBufferPointer {
  func half(_ offset: Int) -> UInt16 { loadUnaligned(fromByteOffset: offset, as: UInt16.self) }
  func word(_ offset: Int) -> UInt64 { loadUnaligned(fromByteOffset: offset, as: UInt64.self) }

  /// As LMDB orders keys: as memcmp(3), and the shorter one of two that are otherwise equal first.
  func isLess(than other: UnsafeRawBufferPointer) -> Bool {
    // Most keys are one number.
    if count == 8, other.count == 8 { return word(0).byteSwapped < other.word(0).byteSwapped }
    let common = Swift.min(count, other.count)
    if common > 0, let one = baseAddress, let two = other.baseAddress {
      let order = memcmp(one, two, common)
      if order != 0 { return order < 0 }
    }
    return count < other.count
  }
}
