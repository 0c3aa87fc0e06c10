import CLMDB
import Glibc

/// The file `data.mdb`, read through a descriptor: what lies in it may be anything and may change or shrink at
/// any moment, and that is an error at most, never a signal as with a map. Reading it needs no lock file and
/// is not seen by the writer.
public final class DataFile: @unchecked Sendable {
  public static let name = "data.mdb"

  let descriptor: CInt
  public let path: String

  /// - Parameter directory: of the environment.
  /// - Throws: an errno; ENOENT when there is none, `isDamage` when it is no regular file.
  public convenience init(_ directory: String) throws(LMDBError) {
    try self.init(file: directory + "/" + Self.name)
  }

  /// - Parameter file: the file's own path.
  public init(file path: String, writable: Bool = false) throws(LMDBError) {
    // Neither a FIFO, which would wait for its other end, nor what a link leads to.
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

  /// Another descriptor of an open file, which may have another name by now, or none.
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

  /// - Returns: how many bytes there were, at most as many as `buffer` has room for.
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

  /// The bytes of both meta pages, as far as they are there. Where the first is damaged, the size of a page is
  /// not known, and the second is looked for.
  func metaBytes() throws(LMDBError) -> Metas {
    // The kernel may show half of a page that is being written: twice the same is whole.
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
    // A closure of that function could not throw a typed error.
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: page.count, alignment: 8)
    defer { buffer.deallocate() }
    count = try read(buffer, at: UInt64(offset))
    page.withUnsafeMutableBytes { $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[..<count])) }
    return Array(page[..<count])
  }

  /// Those of the two that are good, the newest first.
  func metaPages() throws(LMDBError) -> [MetaPage] { Self.good(try metaBytes()) }

  private static func good(_ metas: Metas) -> [MetaPage] {
    [
      metas.first.withUnsafeBytes { MetaPage($0, index: 0) },
      metas.second.withUnsafeBytes { MetaPage($0, index: 1) },
    ]
    .compactMap { $0 }.filter { $0.pageBytes == metas.pageBytes }.sorted { $0.transaction > $1.transaction }
  }

  /// The state after the newest commit.
  func newest() throws(LMDBError) -> MetaPage {
    let metas = try metaBytes()
    if let newest = Self.good(metas).first { return newest }
    let isOther = [metas.first, metas.second].allSatisfy {
      $0.withUnsafeBytes { MetaPage.isOtherVersion($0) }
    }
    let code = isOther ? MDB_VERSION_MISMATCH : MDB_INVALID
    throw LMDBError(code: code, operation: "read meta pages", path: path)
  }

  /// Whether nothing was ever committed to it: it is empty, or was cut short while it was made.
  public func isUnborn() throws(LMDBError) -> Bool {
    let pages = try metaPages()
    if !pages.isEmpty { return pages.allSatisfy { $0.main.root == Page.none } }
    // A power cut leaves zeros where a new file's data did not get to the disk.
    return try isOfZeros()
  }

  private func isOfZeros() throws(LMDBError) -> Bool {
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

  /// Bytes of the file that are in use or free for reuse.
  public func usedBytes() throws(LMDBError) -> Int {
    let newest = try newest()
    return Int(newest.lastPage + 1) * newest.pageBytes
  }
}
