import Glibc

/// Finds the records that are still readable in a damaged data file. The caller must validate them, as their pages
/// may be of any age.
public final class RecordScan {
  private let file: DataFile
  private var visited: Set<UInt64> = []
  private var buffers: [UnsafeMutableRawBufferPointer] = []
  private var missesPages = false

  public init(_ file: DataFile) { self.file = file }

  deinit { for buffer in buffers { buffer.deallocate() } }

  /// Passes the records of all named databases to `body`: first those of the state before the newest one, so that
  /// later records take precedence.
  /// - Parameter body: receives the name of the database, key and value, valid until it returns.
  /// - Returns: whether all could be read.
  public func databases(
    _ body: (String, UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws -> Void
  ) throws -> Bool {
    let metas = try file.metaPages()
    missesPages = metas.isEmpty
    for meta in metas.reversed() {
      missesPages = false
      visited = []
      let pages = PageBuffers(file, meta)
      var named: [(String, MetaPage.Tree)] = []
      try walk(meta.main.root, 0, pages) { node, _ in
        guard node.isDatabase, node.inline.count == Page.recordBytes else { return }
        named.append((String(decoding: node.key, as: UTF8.self), MetaPage.Tree(node.inline)))
      }
      for (name, tree) in named {
        try walk(tree.root, 0, pages) { node, value in try body(name, node.key, value) }
      }
    }
    return !missesPages
  }

  /// Passes the records on leaf pages that no tree contains any more, of any database, to `body`.
  public func orphans(_ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws -> Void) throws {
    let size = try file.metaBytes().pageBytes
    let count = try file.bytes() / UInt64(size)
    guard count > 2 else { return }
    let pages = PageBuffers(file, MetaPage(covering: count, pageBytes: size))
    for number in 2..<count where !visited.contains(number) {
      let buffer = buffer(0, bytes: size)
      guard let page = try? pages.read(number, into: buffer), page.isLeaf else { continue }
      try visit(page, pages) { node, value in if !node.isDatabase { try body(node.key, value) } }
    }
  }

  private func buffer(_ level: Int, bytes: Int) -> UnsafeMutableRawBufferPointer {
    if level == buffers.count { buffers.append(.allocate(byteCount: bytes, alignment: 16)) }
    return buffers[level]
  }

  private func walk(
    _ number: UInt64, _ level: Int, _ pages: PageBuffers,
    _ body: (Page.Node, UnsafeRawBufferPointer) throws -> Void
  ) throws {
    guard number != Page.none else { return }
    // Visit each page once, as damage may cause cycles.
    guard level < Page.deepest, visited.insert(number).inserted,
      let page = try? pages.read(number, into: buffer(level, bytes: pages.meta.pageBytes))
    else {
      missesPages = true
      return
    }
    guard !page.isLeaf else { return try visit(page, pages, body) }
    for index in 0..<page.count {
      if let node = page.node(index) {
        try walk(node.child, level + 1, pages, body)
      } else {
        missesPages = true
      }
    }
  }

  private func visit(
    _ page: Page, _ pages: PageBuffers, _ body: (Page.Node, UnsafeRawBufferPointer) throws -> Void
  ) throws {
    for index in 0..<page.count {
      guard let node = page.node(index), node.key.count > 0, node.key.count <= 511 else {
        missesPages = true
        continue
      }
      guard node.isOnOverflowPages else {
        try body(node, node.inline)
        continue
      }
      var value = UnsafeMutableRawBufferPointer(start: nil, count: 0)
      defer { value.deallocate() }
      do {
        try pages.readOverflow(node.inline.word(0), valueBytes: node.valueBytes, into: &value)
      } catch {
        missesPages = true
        continue
      }
      try body(node, UnsafeRawBufferPointer(rebasing: value[Page.headerBytes...]))
    }
  }
}
