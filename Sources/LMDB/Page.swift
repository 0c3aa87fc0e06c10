import Glibc

/// A page of `data.mdb`, from untrusted bytes: `MDB_page`, `MDB_node` and `MDB_db` of LMDB 0.9 on a 64-bit
/// machine. All accesses stay within the page.
struct Page {
  static let headerBytes = 16
  static let nodeBytes = 8
  /// Size of an `MDB_db`.
  static let recordBytes = 48
  /// The depth limit of LMDB's cursors.
  static let deepest = 32
  /// The root of an empty tree.
  static let none = UInt64.max

  private static let branch: UInt16 = 1
  private static let leaf: UInt16 = 2
  private static let overflow: UInt16 = 4
  private static let kinds: UInt16 = 0x6f

  /// An entry of a leaf, or a child of a branch.
  struct Node {
    let key: UnsafeRawBufferPointer
    /// Page number of the child; for a branch.
    let child: UInt64
    /// Size of the value, which may be on overflow pages; for a leaf.
    let valueBytes: Int
    let isOnOverflowPages: Bool
    let isDatabase: Bool
    /// The part of the value in the leaf: the whole value, or the number of its first overflow page.
    let inline: UnsafeRawBufferPointer
    /// Bytes of the page that it uses.
    let usedBytes: Int
  }

  let bytes: UnsafeRawBufferPointer
  let isLeaf: Bool
  let count: Int
  private let upper: Int

  /// Bytes for entries.
  var usedBytes: Int { bytes.count - upper }

  /// - Returns: nil if it is not the branch or leaf page `number`.
  init?(_ bytes: UnsafeRawBufferPointer, number: UInt64) {
    guard bytes.count > Self.headerBytes, bytes.word(0) == number else { return nil }
    let kind = bytes.half(10) & Self.kinds
    guard kind == Self.leaf || kind == Self.branch else { return nil }
    let lower = Int(bytes.half(12))
    upper = Int(bytes.half(14))
    guard lower >= Self.headerBytes, lower <= upper, upper <= bytes.count, lower % 2 == 0 else { return nil }
    isLeaf = kind == Self.leaf
    count = (lower - Self.headerBytes) / 2
    // LMDB has no empty pages.
    guard count >= (isLeaf ? 1 : 2) else { return nil }
    self.bytes = bytes
  }

  /// - Returns: nil when it is not within the page.
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
    // 1: on overflow pages; 2: a database. Duplicates, which holdfast does not use, have another layout.
    guard flags & ~3 == 0 else { return nil }
    let isBig = flags & 1 != 0
    let inlineBytes = isBig ? 8 : Int(low)
    guard keyEnd + inlineBytes <= bytes.count else { return nil }
    return Node(
      key: key, child: 0, valueBytes: Int(low), isOnOverflowPages: isBig, isDatabase: flags & 2 != 0,
      inline: UnsafeRawBufferPointer(rebasing: bytes[keyEnd..<(keyEnd + inlineBytes)]),
      usedBytes: (keyEnd + inlineBytes - at + 1) & ~1)
  }

  /// Index of the first entry whose key is `key` or greater, by binary search; `count` if there is none. In a
  /// branch, the first key counts as less than any other, so the search begins at index 1.
  /// - Returns: nil when an entry is not within the page.
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

  /// - Returns: the number of overflow pages that begin at page `number`, from its header; nil if it is not an
  ///   overflow page.
  static func overflowPages(_ header: UnsafeRawBufferPointer, number: UInt64) -> UInt64? {
    guard header.count >= headerBytes, header.word(0) == number, header.half(10) & kinds == overflow
    else { return nil }
    return UInt64(header.half(12)) | UInt64(header.half(14)) << 16
  }
}

extension UnsafeRawBufferPointer {
  func half(_ offset: Int) -> UInt16 { loadUnaligned(fromByteOffset: offset, as: UInt16.self) }
  func word(_ offset: Int) -> UInt64 { loadUnaligned(fromByteOffset: offset, as: UInt64.self) }

  /// LMDB's order of keys: memcmp(3), then the shorter one first.
  func isLess(than other: UnsafeRawBufferPointer) -> Bool {
    // Most keys are a single number.
    if count == 8, other.count == 8 { return word(0).byteSwapped < other.word(0).byteSwapped }
    let common = Swift.min(count, other.count)
    if common > 0, let one = baseAddress, let two = other.baseAddress {
      let order = memcmp(one, two, common)
      if order != 0 { return order < 0 }
    }
    return count < other.count
  }
}
