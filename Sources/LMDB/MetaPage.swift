import CLMDB
import Glibc

/// The meta pages at the beginning of `data.mdb`, as bytes (struct `MDB_page` and `MDB_meta` of
/// LMDB 0.9 on a 64-bit machine).
struct MetaPage {
  static let magic: UInt32 = 0xBEEF_C0DE
  static let version: UInt32 = 1
  static let headerBytes = 16
  static let bytes = headerBytes + 136
  static let isMeta: UInt16 = 0x08
  static let noPage = UInt64.max

  let pageBytes: Int
  let freeRoot: UInt64
  let freeDepth: Int
  let mainRoot: UInt64
  let mainDepth: Int
  let lastPage: UInt64
  let transaction: UInt64

  /// - Returns: nil for bytes that LMDB would refuse or believe to its cost.
  init?(_ page: UnsafeRawBufferPointer) {
    guard page.count >= MetaPage.bytes else { return nil }
    func word(_ offset: Int) -> UInt64 { page.loadUnaligned(fromByteOffset: offset, as: UInt64.self) }
    func half(_ offset: Int) -> UInt32 { page.loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
    guard page.loadUnaligned(fromByteOffset: 10, as: UInt16.self) & MetaPage.isMeta != 0,
      half(16) == MetaPage.magic
    else { return nil }
    let size = half(40)
    guard size >= 512, size <= 65536, size.nonzeroBitCount == 1 else { return nil }
    pageBytes = Int(size)
    freeRoot = word(80)
    freeDepth = Int(page.loadUnaligned(fromByteOffset: 46, as: UInt16.self))
    mainDepth = Int(page.loadUnaligned(fromByteOffset: 94, as: UInt16.self))
    mainRoot = word(128)
    lastPage = word(136)
    transaction = word(144)
    guard lastPage >= 1, lastPage < UInt64(Int.max) / UInt64(size) - 1, mainDepth <= 32,
      freeRoot == MetaPage.noPage || (freeRoot > 1 && freeRoot <= lastPage),
      mainRoot == MetaPage.noPage || (mainRoot > 1 && mainRoot <= lastPage)
    else { return nil }
  }

  static func read(_ descriptor: CInt, at offset: off_t) -> MetaPage? {
    withUnsafeTemporaryAllocation(byteCount: bytes, alignment: 8) { page in
      let count = pread(descriptor, page.baseAddress, page.count, offset)
      return count == page.count ? MetaPage(UnsafeRawBufferPointer(page)) : nil
    }
  }

  /// Refuses a `data.mdb` that could bring LMDB down. A missing or empty file is LMDB's to judge.
  static func check(_ directory: String) throws(LMDBError) {
    let path = directory + "/data.mdb"
    // Not `lock.mdb`: closing a descriptor of that one would drop the locks of this process.
    let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    let status = withUnsafeTemporaryAllocation(byteCount: bytes, alignment: 8) { page -> Verdict in
      let count = pread(descriptor, page.baseAddress, page.count, 0)
      // Nothing yet, or an error that LMDB will meet as well and name.
      guard count > 0 else { return .fine }
      let head = UnsafeRawBufferPointer(rebasing: page[..<count])
      if count == bytes, head.loadUnaligned(fromByteOffset: 16, as: UInt32.self) == magic,
        head.loadUnaligned(fromByteOffset: 20, as: UInt32.self) != version
      {
        return .otherVersion
      }
      guard let first = MetaPage(head), let second = read(descriptor, at: off_t(first.pageBytes)),
        second.pageBytes == first.pageBytes
      else { return .damaged }
      return .fine
    }
    switch status {
    case .fine: return
    case .damaged:
      throw LMDBError(code: MDB_INVALID, operation: "open", path: path)
    case .otherVersion:
      throw LMDBError(code: MDB_VERSION_MISMATCH, operation: "open", path: path)
    }
  }

  private enum Verdict { case fine, damaged, otherVersion }
}
