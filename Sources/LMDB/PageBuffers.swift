import CLMDB
import Glibc

/// Reads pages of one state.
final class PageBuffers {
  let file: DataFile
  let meta: MetaPage
  private let fileBytes: UInt64

  init(_ file: DataFile, _ meta: MetaPage) {
    self.file = file
    self.meta = meta
    fileBytes = (try? file.bytes()) ?? 0
  }

  func damage(_ number: UInt64) -> LMDBError {
    LMDBError(code: MDB_CORRUPTED, operation: "read page \(number)", path: file.path)
  }

  func isInside(_ number: UInt64, pages: UInt64) -> Bool {
    number > 1 && pages > 0 && number <= meta.lastPage && pages - 1 <= meta.lastPage - number
      && (number + pages) * UInt64(meta.pageBytes) <= fileBytes
  }

  /// - Parameter buffer: has the size of one page.
  func read(_ number: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(LMDBError) -> Page {
    guard isInside(number, pages: 1),
      try file.read(buffer, at: number * UInt64(meta.pageBytes)) == meta.pageBytes,
      let page = Page(UnsafeRawBufferPointer(buffer), number: number)
    else { throw damage(number) }
    return page
  }

  /// Reads the value that begins at overflow page `number`, including the page's header.
  func readOverflow(
    _ number: UInt64, valueBytes: Int, into buffer: inout UnsafeMutableRawBufferPointer
  ) throws(LMDBError) {
    let bytes = Page.headerBytes + valueBytes
    let pages = UInt64((bytes + meta.pageBytes - 1) / meta.pageBytes)
    guard isInside(number, pages: pages) else { throw damage(number) }
    if buffer.count != bytes {
      buffer.deallocate()
      buffer = .allocate(byteCount: bytes, alignment: 16)
    }
    guard try file.read(buffer, at: number * UInt64(meta.pageBytes)) == bytes,
      let there = Page.overflowPages(UnsafeRawBufferPointer(buffer), number: number), there >= pages
    else { throw damage(number) }
  }
}

extension UnsafeRawBufferPointer {
  static func copying(_ bytes: [UInt8]) -> UnsafeMutableRawBufferPointer {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    copy.copyBytes(from: bytes)
    return copy
  }
}
