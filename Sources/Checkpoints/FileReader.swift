import Glibc
import POSIX

/// Reads parts of a file that another program may change at any time. A mapping would raise SIGBUS.
struct FileReader {
  private let file: OpenFile

  init(_ file: OpenFile) { self.file = file }

  /// - Returns: fewer bytes at the end of the file.
  func bytes(at offset: Int, count: Int) throws(POSIXError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let more = try posix("read", file.path) {
        bytes.withUnsafeMutableBytes {
          pread(file.descriptor, $0.baseAddress! + done, count - done, off_t(offset + done))
        }
      }
      if more == 0 { return Array(bytes[..<done]) }
      done += more
    }
    return bytes
  }

  /// Calls `body` with successive chunks.
  /// - Returns: whether the file has all of them.
  func forEachChunk(
    at offset: Int, count: Int, _ body: (UnsafeRawBufferPointer) -> Void
  ) throws(POSIXError) -> Bool {
    let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
    defer { chunk.deallocate() }
    var done = 0
    while done < count {
      let more = try posix("read", file.path) {
        pread(file.descriptor, chunk.baseAddress, min(chunk.count, count - done), off_t(offset + done))
      }
      if more == 0 { return false }
      body(UnsafeRawBufferPointer(rebasing: chunk[..<more]))
      done += more
    }
    return true
  }
}

extension UInt64 {
  /// A little-endian number of up to 8 bytes.
  init(little bytes: ArraySlice<UInt8>) {
    self = bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
}
