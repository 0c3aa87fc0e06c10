/// One of the two meta pages at the beginning of `data.mdb`: `MDB_page` and `MDB_meta` of LMDB 0.9 on a 64-bit
/// machine. Transaction N writes page N % 2, so that the meta page of transaction N - 1 remains.
struct MetaPage: Hashable {
  static let bytes = 16 + 136
  private static let magic: UInt32 = 0xBEEF_C0DE
  private static let version: UInt32 = 1
  private static let isMeta: UInt16 = 0x08
  /// Flag of the free list, whose keys are native integers (`MDB_INTEGERKEY`).
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

  /// LMDB's first checks of a meta page. If they fail, it rejects the file.
  static func isKnown(_ page: UnsafeRawBufferPointer) -> Bool {
    page.count >= bytes && page.half(10) & isMeta != 0 && hasMagic(page) && !isOtherVersion(page)
  }

  static func isOtherVersion(_ page: UnsafeRawBufferPointer) -> Bool {
    page.count >= bytes && hasMagic(page)
      && page.loadUnaligned(fromByteOffset: 20, as: UInt32.self) != version
  }

  private static func hasMagic(_ page: UnsafeRawBufferPointer) -> Bool {
    page.loadUnaligned(fromByteOffset: 16, as: UInt32.self) == magic
  }

  /// The transaction number, unchecked.
  static func transaction(_ page: UnsafeRawBufferPointer) -> UInt64 { page.word(144) }

  /// - Parameter index: 0 or 1.
  /// - Returns: nil for a page that LMDB would reject or wrongly accept. After a failed commit, LMDB restores the
  ///   transaction number and the last page, but not the roots: such a page is invalid too, and never the newest.
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

  /// A substitute for reading pages of a file without valid meta pages.
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

  /// A copy for the other place, with the number of the transaction before.
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
