import CLMDB
import Glibc

extension DataFile {
  /// Checks every page that LMDB could follow from the newest commit. LMDB 0.9 has no checksums and does not validate
  /// its file: a damaged page makes it read and write outside of its memory.
  ///
  /// A changed value, or an older version of a page that fits into its place, is not detected.
  /// - Throws: `isDamage`, or the errno of reading.
  public func checkStructure() throws(LMDBError) {
    var check = StructureCheck(self, try newest())
    try check.run()
  }
}

/// A walk over all pages of one state, from the roots. Each page must be valid for its kind, be referenced once, and
/// have ordered keys within the bounds from its parent. The free list must not contain pages in use.
struct StructureCheck: ~Copyable {
  private enum Tree { case free, main, named }

  private let file: DataFile
  private let meta: MetaPage
  private let pages: PageBuffers
  /// A bit for each visited page.
  private var visited: [UInt64]
  private var buffers: [UnsafeMutableRawBufferPointer] = []
  /// Buffer for several consecutive pages, as most leaves are consecutive.
  private let window: UnsafeMutableRawBufferPointer
  private var inWindow: Range<UInt64> = 0..<0

  init(_ file: DataFile, _ meta: MetaPage) {
    self.file = file
    self.meta = meta
    pages = PageBuffers(file, meta)
    visited = []
    window = .allocate(byteCount: 16 * meta.pageBytes, alignment: 16)
  }

  deinit {
    for buffer in buffers { buffer.deallocate() }
    window.deallocate()
  }

  mutating func run() throws(LMDBError) {
    // The last pages may be missing in the file if they were freed before they were written. A much greater number is
    // damage, and would need much memory here.
    guard try meta.lastPage / 2 <= file.bytes() / UInt64(meta.pageBytes) + 1 << 20 else {
      throw damage("last page", 0)
    }
    visited = [UInt64](repeating: 0, count: Int(meta.lastPage / 64) + 1)
    // Pages in use first: the free list is compared with them.
    try walk(meta.main, .main)
    try walk(meta.free, .free)
    try checkFreeLists()
  }

  private func damage(_ what: String, _ page: UInt64) -> LMDBError {
    LMDBError(code: MDB_CORRUPTED, operation: "check page \(page) (\(what))", path: file.path)
  }

  private mutating func walk(_ tree: MetaPage.Tree, _ kind: Tree) throws(LMDBError) {
    guard tree.root != Page.none else {
      guard tree.entries == 0 else { throw damage("entries", 0) }
      return
    }
    guard tree.depth >= 1, tree.depth <= Page.deepest else { throw damage("depth", tree.root) }
    // Walk databases after the tree that contains them, as they share the buffers.
    var named: [MetaPage.Tree] = []
    let entries = try walk(tree.root, depth: tree.depth, level: 0, kind, from: nil, to: nil, &named)
    guard entries == tree.entries else { throw damage("entries", tree.root) }
    for tree in named { try walk(tree, .named) }
  }

  /// - Parameters:
  ///   - from: inclusive lower bound of the keys.
  ///   - to: exclusive upper bound.
  /// - Returns: the number of entries below.
  private mutating func walk(
    _ number: UInt64, depth: Int, level: Int, _ kind: Tree, from: UnsafeRawBufferPointer?,
    to: UnsafeRawBufferPointer?, _ named: inout [MetaPage.Tree]
  ) throws(LMDBError) -> UInt64 {
    try visit(number, pages: 1)
    let page = try read(number, isLeaf: depth == 1, level)
    guard page.isLeaf == (depth == 1) else { throw damage("kind", number) }
    var entries: UInt64 = 0
    var used = 0
    var previous: UnsafeRawBufferPointer?
    for index in 0..<page.count {
      guard let node = page.node(index) else { throw damage("node", number) }
      used += node.usedBytes
      // A branch's first key is not used.
      if page.isLeaf || index > 0 {
        // As keys are ordered, checking the first and the last against the bounds suffices.
        try checkKey(
          node.key, kind, after: previous, from: previous == nil ? from : nil,
          to: index == page.count - 1 ? to : nil, number)
        previous = node.key
      }
      guard !page.isLeaf else {
        entries += 1
        try checkValue(node, kind, number, &named)
        continue
      }
      let next = index + 1 < page.count ? page.node(index + 1)?.key : to
      entries += try walk(
        node.child, depth: depth - 1, level: level + 1, kind, from: index == 0 ? from : node.key, to: next,
        &named)
    }
    // Overlapping entries would not fit when LMDB splits the page.
    guard used <= page.usedBytes else { throw damage("size of entries", number) }
    return entries
  }

  private mutating func read(_ number: UInt64, isLeaf: Bool, _ level: Int) throws(LMDBError) -> Page {
    guard isLeaf else {
      if level == buffers.count { buffers.append(.allocate(byteCount: meta.pageBytes, alignment: 16)) }
      return try pages.read(number, into: buffers[level])
    }
    if !inWindow.contains(number) {
      let bytes = try file.read(window, at: number * UInt64(meta.pageBytes))
      inWindow = number..<(number + UInt64(bytes / meta.pageBytes))
      guard !inWindow.isEmpty else { throw damage("beyond the end", number) }
    }
    let start = Int(number - inWindow.lowerBound) * meta.pageBytes
    let bytes = UnsafeRawBufferPointer(window)[start..<(start + meta.pageBytes)]
    guard let page = Page(UnsafeRawBufferPointer(rebasing: bytes), number: number) else {
      throw damage("header", number)
    }
    return page
  }

  private func checkKey(
    _ key: UnsafeRawBufferPointer, _ kind: Tree, after previous: UnsafeRawBufferPointer?,
    from: UnsafeRawBufferPointer?, to: UnsafeRawBufferPointer?, _ number: UInt64
  ) throws(LMDBError) {
    if kind == .free, key.count != 8 { throw damage("key", number) }
    func isLess(_ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Bool {
      kind == .free
        ? one.count == 8 && other.count == 8 && one.word(0) < other.word(0) : one.isLess(than: other)
    }
    if let previous, !isLess(previous, key) { throw damage("order of keys", number) }
    if let from, isLess(key, from) { throw damage("key of another page", number) }
    if let to, !isLess(key, to) { throw damage("key of another page", number) }
  }

  private mutating func checkValue(
    _ node: Page.Node, _ kind: Tree, _ number: UInt64, _ named: inout [MetaPage.Tree]
  ) throws(LMDBError) {
    // LMDB's limit.
    guard node.key.count > 0, node.key.count <= 511 else { throw damage("key", number) }
    if node.isOnOverflowPages { try visitOverflow(node.inline.word(0), node.valueBytes) }
    switch kind {
    case .named:
      guard !node.isDatabase else { throw damage("flags", number) }
    case .main:
      guard node.isDatabase else { return }
      // Flags of duplicates, which holdfast does not use and whose pages have another layout.
      guard !node.isOnOverflowPages, node.inline.count == Page.recordBytes, node.inline.half(4) == 0 else {
        throw damage("database", number)
      }
      named.append(MetaPage.Tree(node.inline))
    case .free:
      guard !node.isDatabase, node.valueBytes >= 8, node.valueBytes % 8 == 0 else {
        throw damage("free list", number)
      }
    }
  }

  private mutating func visitOverflow(_ number: UInt64, _ valueBytes: Int) throws(LMDBError) {
    guard pages.isInside(number, pages: 1) else { throw damage("beyond the end", number) }
    let header = UnsafeMutableRawBufferPointer.allocate(byteCount: Page.headerBytes, alignment: 8)
    defer { header.deallocate() }
    guard try file.read(header, at: number * UInt64(meta.pageBytes)) == Page.headerBytes,
      let count = Page.overflowPages(UnsafeRawBufferPointer(header), number: number),
      // LMDB frees the number in the header, which may be greater if the value became shorter.
      count >= UInt64((Page.headerBytes - 1 + valueBytes) / meta.pageBytes) + 1
    else { throw damage("overflow", number) }
    try visit(number, pages: count)
  }

  /// Marks pages as visited; each must be referenced once.
  private mutating func visit(_ number: UInt64, pages count: UInt64) throws(LMDBError) {
    guard pages.isInside(number, pages: count) else { throw damage("beyond the end", number) }
    for page in number..<(number + count) {
      let bit = UInt64(1) << (page % 64)
      guard visited[Int(page / 64)] & bit == 0 else { throw damage("referenced twice", page) }
      visited[Int(page / 64)] |= bit
    }
  }

  /// Lists of free pages: a count, then page numbers in descending order. LMDB will write to these pages.
  private mutating func checkFreeLists() throws(LMDBError) {
    let cursor = ReadCursor(pages, meta.free)
    var entry = try cursor.first()
    while let (_, value) = entry {
      let count = value.word(0)
      guard count < UInt64(value.count / 8) else { throw damage("free list", 0) }
      var previous = meta.lastPage + 1
      for index in 0..<Int(count) {
        let free = value.word(8 + index * 8)
        guard free > 1, free < previous else { throw damage("free list", free) }
        try visitFree(free)
        previous = free
      }
      entry = try cursor.next()
    }
  }

  private mutating func visitFree(_ page: UInt64) throws(LMDBError) {
    let bit = UInt64(1) << (page % 64)
    guard visited[Int(page / 64)] & bit == 0 else { throw damage("free and in use", page) }
    visited[Int(page / 64)] |= bit
  }
}
