import CLMDB
import Glibc

extension DataFile {
  /// Looks at every page that LMDB could follow from the newest commit. LMDB 0.9 has no checksums and believes its
  /// file: a page that holds something else makes it read, and write, outside of its memory.
  ///
  /// What it cannot find is a changed value, or a page of another time that fits into its place.
  /// - Throws: `isDamage`, or the errno of reading.
  public func checkStructure() throws(LMDBError) {
    var check = StructureCheck(self, try newest())
    try check.run()
  }
}

/// A walk over all pages of one state, from the top. Each page must be a sound one of its kind, be in one place
/// only, and hold keys in order that its parent would lead to; the free list may name no page that is used.
struct StructureCheck: ~Copyable {
  private enum Tree { case free, main, named }

  private let file: DataFile
  private let meta: MetaPage
  private let pages: PageBuffers
  /// A bit for each page that was met.
  private var met: [UInt64]
  private var buffers: [UnsafeMutableRawBufferPointer] = []
  /// Some pages that lie behind each other, as most leaves do.
  private let window: UnsafeMutableRawBufferPointer
  private var inWindow: Range<UInt64> = 0..<0

  init(_ file: DataFile, _ meta: MetaPage) {
    self.file = file
    self.meta = meta
    pages = PageBuffers(file, meta)
    met = []
    window = .allocate(byteCount: 16 * meta.pageBytes, alignment: 16)
  }

  deinit {
    for buffer in buffers { buffer.deallocate() }
    window.deallocate()
  }

  mutating func run() throws(LMDBError) {
    // Pages at the end that were freed before they were ever written need not be in the file. A number that is far
    // beyond would only ask for much memory here.
    guard try meta.lastPage / 2 <= file.bytes() / UInt64(meta.pageBytes) + 1 << 20 else {
      throw damage("last page", 0)
    }
    met = [UInt64](repeating: 0, count: Int(meta.lastPage / 64) + 1)
    // First what is used: the free list is compared with it.
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
    // Databases are walked after the tree that names them: the buffers are one set.
    var named: [MetaPage.Tree] = []
    let entries = try walk(tree.root, depth: tree.depth, level: 0, kind, from: nil, to: nil, &named)
    guard entries == tree.entries else { throw damage("entries", tree.root) }
    for tree in named { try walk(tree, .named) }
  }

  /// - Parameters:
  ///   - from: no key of the page may be less.
  ///   - to: each must be less.
  /// - Returns: how many entries there are below.
  private mutating func walk(
    _ number: UInt64, depth: Int, level: Int, _ kind: Tree, from: UnsafeRawBufferPointer?,
    to: UnsafeRawBufferPointer?, _ named: inout [MetaPage.Tree]
  ) throws(LMDBError) -> UInt64 {
    try meet(number, pages: 1)
    let page = try read(number, isLeaf: depth == 1, level)
    guard page.isLeaf == (depth == 1) else { throw damage("kind", number) }
    var entries: UInt64 = 0
    var used = 0
    var previous: UnsafeRawBufferPointer?
    for index in 0..<page.count {
      guard let node = page.node(index) else { throw damage("node", number) }
      used += node.usedBytes
      // A branch's first key stands for anything that is less.
      if page.isLeaf || index > 0 {
        // Keys are in order: no other key of the page can be beyond its limits if these are not.
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
    // Entries that overlap would not fit into the halves of a page that is split.
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
    // LMDB refuses longer ones.
    guard node.key.count > 0, node.key.count <= 511 else { throw damage("key", number) }
    if node.isOnOverflowPages { try meetOverflow(node.inline.word(0), node.valueBytes) }
    switch kind {
    case .named:
      guard !node.isDatabase else { throw damage("flags", number) }
    case .main:
      guard node.isDatabase else { return }
      // Flags of duplicates: we make no such database, and its pages have another layout.
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

  private mutating func meetOverflow(_ number: UInt64, _ valueBytes: Int) throws(LMDBError) {
    guard pages.isInside(number, pages: 1) else { throw damage("beyond the end", number) }
    let header = UnsafeMutableRawBufferPointer.allocate(byteCount: Page.headerBytes, alignment: 8)
    defer { header.deallocate() }
    guard try file.read(header, at: number * UInt64(meta.pageBytes)) == Page.headerBytes,
      let count = Page.overflowPages(UnsafeRawBufferPointer(header), number: number),
      // LMDB gives back as many as the header says, which are more where a value became shorter.
      count >= UInt64((Page.headerBytes - 1 + valueBytes) / meta.pageBytes) + 1
    else { throw damage("overflow", number) }
    try meet(number, pages: count)
  }

  /// Each page is in one place.
  private mutating func meet(_ number: UInt64, pages count: UInt64) throws(LMDBError) {
    guard pages.isInside(number, pages: count) else { throw damage("beyond the end", number) }
    for page in number..<(number + count) {
      let bit = UInt64(1) << (page % 64)
      guard met[Int(page / 64)] & bit == 0 else { throw damage("met twice", page) }
      met[Int(page / 64)] |= bit
    }
  }

  /// Lists of free pages: their number, then as many, the greatest first. LMDB will write to them.
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
        try meetFree(free)
        previous = free
      }
      entry = try cursor.next()
    }
  }

  private mutating func meetFree(_ page: UInt64) throws(LMDBError) {
    let bit = UInt64(1) << (page % 64)
    guard met[Int(page / 64)] & bit == 0 else { throw damage("free, and used", page) }
    met[Int(page / 64)] |= bit
  }
}
