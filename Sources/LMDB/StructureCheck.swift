import CLMDB
import Glibc

extension Environment {
  /// Looks at the pages before LMDB follows them. LMDB 0.9 has no checksums and believes its file: a
  /// page that holds something else makes it read outside of its map, and one that the file ends
  /// before is a SIGBUS. All branch pages are looked at; all leaves too, up to `leafPages`, beyond
  /// that the first and last of each database.
  ///
  /// What it cannot find is a page of another time that is sound in itself, or a changed value.
  /// - Throws: `isDamage`, or the errno of reading.
  public func checkStructure(leafPages: Int = 4096) throws(LMDBError) {
    for attempt in 1...3 {
      // The transaction keeps its pages from being used again while they are read.
      let transaction = try Transaction(self, readOnly: true)
      do throws(LMDBError) {
        var check = try StructureCheck(path, transaction: UInt64(mdb_txn_id(transaction.handle)))
        return try check.run(leafPages: leafPages)
      } catch {
        // Without the lock nothing is kept: what looks like damage may be the writer at work.
        if !isWithoutLock { throw error }
        if attempt == 3 { return }
      }
    }
  }
}

/// A walk over the pages of one transaction, through a descriptor and not the map. Layout: `MDB_page`,
/// `MDB_node` and `MDB_db` of LMDB 0.9 on a 64-bit machine.
private struct StructureCheck: ~Copyable {
  private static let isBranch: UInt16 = 1
  private static let isLeaf: UInt16 = 2
  private static let isOverflow: UInt16 = 4
  private static let kinds: UInt16 = 0x6f
  private static let headerBytes = 16
  private static let nodeBytes = 8
  private static let recordBytes = 48
  private static let isBig: UInt16 = 1
  private static let isDatabase: UInt16 = 2
  /// LMDB's cursor has room for as many.
  private static let deepest = 32

  private let path: String
  private let descriptor: CInt
  private let meta: MetaPage
  private let fileBytes: UInt64
  private var visited: UInt64 = 0
  private var checksLeaves = false

  init(_ directory: String, transaction: UInt64) throws(LMDBError) {
    path = directory + "/data.mdb"
    let descriptor = Glibc.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { throw LMDBError(code: errno, operation: "open", path: path) }
    var status = stat()
    var found: MetaPage?
    if fstat(descriptor, &status) == 0, let first = MetaPage.read(descriptor, at: 0) {
      let second = MetaPage.read(descriptor, at: off_t(first.pageBytes))
      found = first.transaction == transaction ? first : second?.transaction == transaction ? second : nil
    }
    guard let found else {
      close(descriptor)
      throw LMDBError(code: MDB_CORRUPTED, operation: "read meta pages", path: path)
    }
    self.descriptor = descriptor
    meta = found
    fileBytes = UInt64(status.st_size)
  }

  deinit { close(descriptor) }

  mutating func run(leafPages: Int) throws(LMDBError) {
    checksLeaves = meta.lastPage <= UInt64(leafPages)
    if meta.freeRoot != MetaPage.noPage { try walk(meta.freeRoot, meta.freeDepth, .free, atEdge: true) }
    if meta.mainRoot != MetaPage.noPage { try walk(meta.mainRoot, meta.mainDepth, .main, atEdge: true) }
  }

  private enum Tree { case free, main, named }

  private func damage(_ what: String, _ page: UInt64) -> LMDBError {
    LMDBError(code: MDB_CORRUPTED, operation: "check page \(page) (\(what))", path: path)
  }

  /// - Parameter atEdge: on the way to the first or last leaf, or in a tree that is looked at whole.
  private mutating func walk(
    _ number: UInt64, _ depth: Int, _ tree: Tree, atEdge: Bool
  ) throws(LMDBError) {
    guard depth >= 1, depth <= Self.deepest else { throw damage("depth", number) }
    let whole = checksLeaves || tree != .named
    if depth == 1, !atEdge, !whole {
      // LMDB will read it only through its own checks of keys; that it is in the file is enough.
      return try checkRange(number, pages: 1)
    }
    // Each page is in one place: more visits than pages are a circle.
    visited += 1
    guard visited <= meta.lastPage else { throw damage("circle", number) }
    let page = try read(number)
    let kind = page.half(10) & Self.kinds
    guard kind == (depth == 1 ? Self.isLeaf : Self.isBranch) else { throw damage("kind", number) }
    let lower = Int(page.half(12))
    let upper = Int(page.half(14))
    guard lower >= Self.headerBytes, lower <= upper, upper <= page.count, lower % 2 == 0 else {
      throw damage("bounds", number)
    }
    let count = (lower - Self.headerBytes) / 2
    guard count >= (depth == 1 ? 1 : 2) else { throw damage("entries", number) }
    for index in 0..<count {
      let at = Int(page.half(Self.headerBytes + index * 2))
      guard at >= upper, at % 2 == 0, at + Self.nodeBytes <= page.count else { throw damage("node", number) }
      let keyEnd = at + Self.nodeBytes + Int(page.half(at + 6))
      guard keyEnd <= page.count else { throw damage("key", number) }
      if depth == 1 {
        try checkLeaf(page, at, keyEnd, number, tree)
      } else {
        let child =
          UInt64(page.half(at)) | UInt64(page.half(at + 2)) << 16 | UInt64(page.half(at + 4)) << 32
        let isEdge = atEdge && (index == 0 || index == count - 1)
        try walk(child, depth - 1, tree, atEdge: isEdge)
      }
    }
  }

  private mutating func checkLeaf(
    _ page: [UInt8], _ at: Int, _ valueAt: Int, _ number: UInt64, _ tree: Tree
  ) throws(LMDBError) {
    let size = UInt64(page.half(at)) | UInt64(page.half(at + 2)) << 16
    let flags = page.half(at + 4)
    guard flags & ~(Self.isBig | Self.isDatabase) == 0 else { throw damage("flags", number) }
    let isBig = flags & Self.isBig != 0
    let inline = isBig ? 8 : size
    guard UInt64(valueAt) + inline <= UInt64(page.count) else { throw damage("value", number) }
    if isBig { try checkOverflow(page.word(valueAt), size) }
    switch tree {
    case .named:
      guard flags & Self.isDatabase == 0 else { throw damage("flags", number) }
    case .main:
      guard flags & Self.isDatabase != 0 else { return }
      guard !isBig, size == UInt64(Self.recordBytes) else { throw damage("database", number) }
      let root = page.word(valueAt + 40)
      // Flags of duplicates: we make no such database, and its leaves have another layout.
      guard page.half(valueAt + 4) == 0 else { throw damage("database", number) }
      if root != MetaPage.noPage { try walk(root, Int(page.half(valueAt + 6)), .named, atEdge: true) }
    case .free:
      try checkFree(page, valueAt, size, isBig, number)
    }
  }

  /// A list of free pages: their number, then as many. LMDB will write to them.
  private func checkFree(
    _ page: [UInt8], _ valueAt: Int, _ size: UInt64, _ isBig: Bool, _ number: UInt64
  ) throws(LMDBError) {
    guard size >= 8, size % 8 == 0 else { throw damage("free list", number) }
    let bytes: [UInt8]
    let start: Int
    if isBig {
      bytes = try read(page.word(valueAt), bytes: Int(size) + Self.headerBytes)
      start = Self.headerBytes
    } else {
      bytes = page
      start = valueAt
    }
    let count = bytes.word(start)
    guard count < size / 8 else { throw damage("free list", number) }
    var previous = meta.lastPage + 1
    for index in 0..<Int(count) {
      let free = bytes.word(start + 8 + index * 8)
      guard free > 1, free < previous else { throw damage("free list", number) }
      previous = free
    }
  }

  private func checkOverflow(_ number: UInt64, _ size: UInt64) throws(LMDBError) {
    let header = try read(number)
    let pages = UInt64(header.half(12)) | UInt64(header.half(14)) << 16
    guard header.half(10) & Self.kinds == Self.isOverflow,
      size + UInt64(Self.headerBytes) <= pages * UInt64(meta.pageBytes)
    else { throw damage("overflow", number) }
    try checkRange(number, pages: pages)
  }

  private func checkRange(_ number: UInt64, pages: UInt64) throws(LMDBError) {
    guard number > 1, pages > 0, number <= meta.lastPage, pages - 1 <= meta.lastPage - number,
      (number + pages) * UInt64(meta.pageBytes) <= fileBytes
    else { throw damage("beyond the end", number) }
  }

  /// The page, whose own number must be right.
  private func read(_ number: UInt64, bytes: Int? = nil) throws(LMDBError) -> [UInt8] {
    let bytes = bytes ?? meta.pageBytes
    try checkRange(number, pages: UInt64((bytes + meta.pageBytes - 1) / meta.pageBytes))
    var page = [UInt8](repeating: 0, count: bytes)
    let count = pread(descriptor, &page, bytes, off_t(number) * off_t(meta.pageBytes))
    if count < 0 { throw LMDBError(code: errno, operation: "pread", path: path) }
    guard count == bytes, page.word(0) == number else { throw damage("number", number) }
    return page
  }
}

extension [UInt8] {
  fileprivate func half(_ offset: Int) -> UInt16 {
    withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: UInt16.self) }
  }

  fileprivate func word(_ offset: Int) -> UInt64 {
    withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self) }
  }
}
