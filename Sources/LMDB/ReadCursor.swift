/// A cursor in a database of a `ReadTransaction`, ordered by key. Its entries are valid until it moves.
public final class ReadCursor {
  public typealias Entry = (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)

  private struct Level {
    var page: Page
    var index: Int
  }

  private let pages: PageBuffers
  private let tree: MetaPage.Tree
  /// One buffer for each level, from the root down.
  private var buffers: [UnsafeMutableRawBufferPointer] = []
  private var numbers: [UInt64] = []
  private var path: [Level] = []
  private var overflow = UnsafeMutableRawBufferPointer(start: nil, count: 0)

  init(_ pages: PageBuffers, _ tree: MetaPage.Tree) {
    self.pages = pages
    self.tree = tree
  }

  deinit {
    for buffer in buffers { buffer.deallocate() }
    overflow.deallocate()
  }

  public func first() throws(LMDBError) -> Entry? {
    guard try begin(atEnd: false) else { return nil }
    return try descend(atEnd: false)
  }

  public func last() throws(LMDBError) -> Entry? {
    guard try begin(atEnd: true) else { return nil }
    return try descend(atEnd: true)
  }

  public func next() throws(LMDBError) -> Entry? {
    if path.isEmpty { return try first() }
    return try advance()
  }

  public func previous() throws(LMDBError) -> Entry? {
    if path.isEmpty { return try last() }
    while let level = path.last {
      if level.index > 0 {
        path[path.count - 1].index -= 1
        return try descend(atEnd: true)
      }
      path.removeLast()
    }
    return nil
  }

  /// The first entry whose key is `key` or greater.
  public func seek(_ key: UnsafeRawBufferPointer) throws(LMDBError) -> Entry? {
    guard try begin(atEnd: false) else { return nil }
    while let level = path.last {
      guard let bound = level.page.lowerBound(key) else { throw damage }
      guard !level.page.isLeaf else {
        path[path.count - 1].index = bound
        break
      }
      // The last child whose first key is not greater than `key`.
      var child = bound
      if bound == level.page.count {
        child = bound - 1
      } else if let node = level.page.node(bound) {
        if key.isLess(than: node.key) { child = bound - 1 }
      }
      path[path.count - 1].index = child
      try pushChild(child, atEnd: false)
    }
    guard let leaf = path.last else { return nil }
    if leaf.index < leaf.page.count { return try entry() }
    path[path.count - 1].index = leaf.page.count - 1
    return try advance()
  }

  /// The record of the database named `key`, for a cursor of the main tree.
  func databaseRecord(_ key: UnsafeRawBufferPointer) throws(LMDBError) -> MetaPage.Tree? {
    guard let found = try seek(key)?.key, !key.isLess(than: found), !found.isLess(than: key) else {
      return nil
    }
    guard let level = path.last, let node = level.page.node(level.index), node.isDatabase else { return nil }
    guard !node.isOnOverflowPages, node.inline.count == Page.recordBytes, node.inline.half(4) == 0 else {
      throw damage
    }
    return MetaPage.Tree(node.inline)
  }

  private var damage: LMDBError { pages.damage(numbers.last ?? 0) }

  private func advance() throws(LMDBError) -> Entry? {
    while let level = path.last {
      if level.index + 1 < level.page.count {
        path[path.count - 1].index += 1
        return try descend(atEnd: false)
      }
      path.removeLast()
    }
    return nil
  }

  /// - Returns: false when the tree is empty.
  private func begin(atEnd: Bool) throws(LMDBError) -> Bool {
    path.removeAll(keepingCapacity: true)
    guard tree.root != Page.none else { return false }
    try push(tree.root, atEnd: atEnd)
    return true
  }

  /// Continues from the end of the path to a leaf.
  private func descend(atEnd: Bool) throws(LMDBError) -> Entry {
    while let level = path.last, !level.page.isLeaf { try pushChild(level.index, atEnd: atEnd) }
    return try entry()
  }

  private func pushChild(_ index: Int, atEnd: Bool) throws(LMDBError) {
    guard let node = path.last?.page.node(index) else { throw damage }
    try push(node.child, atEnd: atEnd)
  }

  private func push(_ number: UInt64, atEnd: Bool) throws(LMDBError) {
    let depth = path.count
    guard depth < Page.deepest else { throw pages.damage(number) }
    if depth == buffers.count {
      buffers.append(.allocate(byteCount: pages.meta.pageBytes, alignment: 16))
      numbers.append(0)
    }
    let buffer = buffers[depth]
    // Consecutive searches share their upper pages.
    let known = numbers[depth] == number ? Page(UnsafeRawBufferPointer(buffer), number: number) : nil
    numbers[depth] = 0
    let page = if let known { known } else { try pages.read(number, into: buffer) }
    numbers[depth] = number
    path.append(Level(page: page, index: atEnd ? page.count - 1 : 0))
  }

  private func entry() throws(LMDBError) -> Entry {
    guard let level = path.last, level.page.isLeaf, let node = level.page.node(level.index) else {
      throw damage
    }
    guard node.isOnOverflowPages else { return (node.key, node.inline) }
    try pages.readOverflow(node.inline.word(0), valueBytes: node.valueBytes, into: &overflow)
    return (node.key, UnsafeRawBufferPointer(rebasing: overflow[Page.headerBytes...]))
  }
}
