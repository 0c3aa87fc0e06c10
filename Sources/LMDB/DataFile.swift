import CLMDB
import Glibc

/// The file `data.mdb`, read through a descriptor. It may be damaged, and may change or shrink at any moment: that
/// causes an error, not a signal as with a memory map. Reading needs no lock file and does not affect the writer.
public final class DataFile: @unchecked Sendable {
  public static let name = "data.mdb"

  let descriptor: CInt
  public let path: String

  /// - Parameter directory: of the environment.
  /// - Throws: an errno, such as ENOENT; `isDamage` when it is not a regular file.
  public convenience init(_ directory: String) throws(LMDBError) {
    try self.init(file: directory + "/" + Self.name)
  }

  /// - Parameter file: the path of the file itself.
  public init(file path: String, writable: Bool = false) throws(LMDBError) {
    // Do not block on a FIFO, and do not follow a link.
    let flags = (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
    let descriptor = open(path, flags)
    guard descriptor >= 0 else {
      let code = errno
      throw LMDBError(
        code: code == ELOOP || code == ENXIO ? MDB_INVALID : code, operation: "open", path: path)
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw LMDBError(code: MDB_INVALID, operation: "open (not a regular file)", path: path)
    }
    self.descriptor = descriptor
    self.path = path
  }

  /// Duplicates the descriptor of an open file, which may have been renamed or removed.
  init(duplicating descriptor: CInt, path: String) throws(LMDBError) {
    let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
    guard copy >= 0 else { throw LMDBError(code: errno, operation: "fcntl", path: path) }
    self.descriptor = copy
    self.path = path
  }

  deinit { close(descriptor) }

  public func sizeBytes() throws(LMDBError) -> Int { Int(try bytes()) }

  func bytes() throws(LMDBError) -> UInt64 {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw LMDBError(code: errno, operation: "fstat", path: path)
    }
    return UInt64(status.st_size)
  }

  /// - Returns: the number of bytes that were read.
  func read(_ buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(LMDBError) -> Int {
    guard let base = buffer.baseAddress, let start = off_t(exactly: offset) else { return 0 }
    var total = 0
    while total < buffer.count {
      let count = pread(descriptor, base + total, buffer.count - total, start + off_t(total))
      if count < 0, errno == EINTR { continue }
      if count < 0 { throw LMDBError(code: errno, operation: "pread", path: path) }
      if count == 0 { break }
      total += count
    }
    return total
  }

  /// The bytes of both meta pages, as far as they exist. If the first is damaged, the page size is unknown, and the
  /// second is searched.
  func metaBytes() throws(LMDBError) -> Metas {
    // A read may return half of a page that is being written. Two equal reads are consistent.
    var metas = try readMetas()
    for _ in 0..<100 {
      let again = try readMetas()
      if again == metas { break }
      metas = again
    }
    return metas
  }

  struct Metas: Equatable {
    var first: [UInt8]
    var second: [UInt8]
    var pageBytes: Int
  }

  private func readMetas() throws(LMDBError) -> Metas {
    let first = try metaBytes(at: 0)
    if let size = first.withUnsafeBytes({ MetaPage($0, index: 0)?.pageBytes }) {
      return Metas(first: first, second: try metaBytes(at: size), pageBytes: size)
    }
    for size in [4096, 8192, 16384, 32768, 65536, 2048, 1024, 512] {
      let second = try metaBytes(at: size)
      if second.withUnsafeBytes({ MetaPage($0, index: 1)?.pageBytes }) == size {
        return Metas(first: first, second: second, pageBytes: size)
      }
    }
    return Metas(first: first, second: try metaBytes(at: 4096), pageBytes: 4096)
  }

  private func metaBytes(at offset: Int) throws(LMDBError) -> [UInt8] {
    var page = [UInt8](repeating: 0, count: MetaPage.bytes)
    var count = 0
    // Not withUnsafeMutableBytes, whose closure cannot throw typed errors.
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: page.count, alignment: 8)
    defer { buffer.deallocate() }
    count = try read(buffer, at: UInt64(offset))
    page.withUnsafeMutableBytes { $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[..<count])) }
    return Array(page[..<count])
  }

  /// The valid meta pages, newest first.
  func metaPages() throws(LMDBError) -> [MetaPage] { Self.valid(try metaBytes()) }

  private static func valid(_ metas: Metas) -> [MetaPage] {
    [
      metas.first.withUnsafeBytes { MetaPage($0, index: 0) },
      metas.second.withUnsafeBytes { MetaPage($0, index: 1) },
    ]
    .compactMap { $0 }.filter { $0.pageBytes == metas.pageBytes }.sorted { $0.transaction > $1.transaction }
  }

  /// The state after the newest commit.
  func newest() throws(LMDBError) -> MetaPage {
    let metas = try metaBytes()
    if let newest = Self.valid(metas).first { return newest }
    let isOther = [metas.first, metas.second].allSatisfy {
      $0.withUnsafeBytes { MetaPage.isOtherVersion($0) }
    }
    let code = isOther ? MDB_VERSION_MISMATCH : MDB_INVALID
    throw LMDBError(code: code, operation: "read meta pages", path: path)
  }

  /// Whether nothing was ever committed to it: it is empty, or its creation was interrupted.
  public func isUninitialized() throws(LMDBError) -> Bool {
    let pages = try metaPages()
    if !pages.isEmpty { return pages.allSatisfy { $0.main.root == Page.none } }
    // After a power loss, a new file's data that did not reach the disk is zeros.
    return try isZero()
  }

  private func isZero() throws(LMDBError) -> Bool {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 4096)
    defer { buffer.deallocate() }
    var position: UInt64 = 0
    while true {
      let count = try read(buffer, at: position)
      if count == 0 { return true }
      if buffer[..<count].contains(where: { $0 != 0 }) { return false }
      position += UInt64(count)
    }
  }

  /// Bytes of the file that are in use, or free for reuse.
  public func usedBytes() throws(LMDBError) -> Int {
    let newest = try newest()
    return Int(newest.lastPage + 1) * newest.pageBytes
  }
}
