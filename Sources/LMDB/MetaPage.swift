/// One of the two meta pages at the beginning of `data.mdb`: `MDB_page` and `MDB_meta` of LMDB 0.9 on a 64-bit
/// machine. Transaction N writes number N % 2, so that the one before stays as it is until the next.
struct MetaPage: Hashable {
  static let bytes = 16 + 136
  private static let magic: UInt32 = 0xBEEF_C0DE
  private static let version: UInt32 = 1
  private static let isMeta: UInt16 = 0x08
  /// Of the free list, whose keys are native integers; no other kind of environment is ours.
  private static let integerKeys: UInt16 = 0x08

  struct Tree: Hashable {
    let root: UInt64
    let depth: Int
    let entries: UInt64

    init() { (root, depth, entries) = (Page.none, 0, 0) }

    /// An `MDB_db`.
    init(_ record: UnsafeRawBufferPointer) {
      depth = Int(record.half(6))
      entries = record.word(32)
      root = record.word(40)
    }
  }

  let pageBytes: Int
  let free: Tree
  let main: Tree
  let lastPage: UInt64
  let transaction: UInt64

  /// What LMDB looks at before it compares transactions: without it, it refuses the file.
  static func isKnown(_ page: UnsafeRawBufferPointer) -> Bool {
    page.count >= bytes && page.half(10) & isMeta != 0 && isOurs(page) && !isOtherVersion(page)
  }

  static func isOtherVersion(_ page: UnsafeRawBufferPointer) -> Bool {
    page.count >= bytes && isOurs(page)
      && page.loadUnaligned(fromByteOffset: 20, as: UInt32.self) != version
  }

  private static func isOurs(_ page: UnsafeRawBufferPointer) -> Bool {
    page.loadUnaligned(fromByteOffset: 16, as: UInt32.self) == magic
  }

  /// As it stands there, whatever it is worth.
  static func transaction(_ page: UnsafeRawBufferPointer) -> UInt64 { page.word(144) }

  /// - Parameter index: 0 or 1.
  /// - Returns: nil for one that LMDB would refuse, or believe to its cost. After a commit that failed, LMDB
  ///   puts back the number of the transaction and of the last page, and not the roots: such a page is no
  ///   good either, and never the newest.
  init?(_ page: UnsafeRawBufferPointer, index: Int) {
    guard Self.isKnown(page) else { return nil }
    let size = page.loadUnaligned(fromByteOffset: 40, as: UInt32.self)
    guard size >= 512, size <= 65536, size.nonzeroBitCount == 1, page.half(44) == Self.integerKeys,
      page.half(92) == 0
    else { return nil }
    pageBytes = Int(size)
    free = Tree(UnsafeRawBufferPointer(rebasing: page[40..<88]))
    main = Tree(UnsafeRawBufferPointer(rebasing: page[88..<136]))
    lastPage = page.word(136)
    transaction = Self.transaction(page)
    guard transaction == 0 || transaction % 2 == UInt64(index), transaction < 1 << 62, lastPage >= 1,
      lastPage < UInt64(Int.max) / UInt64(size) - 1, Self.isPossible(free, lastPage),
      Self.isPossible(main, lastPage)
    else { return nil }
  }

  /// Of no state: for reading pages of a file whose meta pages are gone.
  init(covering pages: UInt64, pageBytes: Int) {
    self.pageBytes = pageBytes
    free = Tree()
    main = Tree()
    lastPage = pages - 1
    transaction = 0
  }

  private static func isPossible(_ tree: Tree, _ lastPage: UInt64) -> Bool {
    tree.root == Page.none
      || (tree.root > 1 && tree.root <= lastPage && tree.depth >= 1 && tree.depth <= Page.deepest)
  }

  /// The same, to stand at the other place, as of the transaction before.
  static func copy(_ page: UnsafeRawBufferPointer, toIndex index: Int) -> [UInt8] {
    var copy = Array(page)
    copy.withUnsafeMutableBytes { copy in
      copy.storeBytes(of: UInt64(index), as: UInt64.self)
      let transaction = transaction(page)
      copy.storeBytes(of: transaction - min(transaction, 1), toByteOffset: 144, as: UInt64.self)
    }
    return copy
  }
}
