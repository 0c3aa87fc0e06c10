import Glibc
import LMDB
import POSIX
import SystemPackage

/// Preallocates LMDB's data file with zeros beyond its used part. A commit that extends the file must wait
/// for the filesystem's journal; one that writes into it takes a tenth of the time. LMDB uses the page
/// numbers in its meta pages and ignores the rest.
struct FileHeadroom {
  static let bytes = 4 << 20

  private let path: FilePath
  private var end = 0

  init(store directory: FilePath) { path = directory.appending("data.mdb") }

  mutating func ensure(_ environment: Environment) {
    let usedBytes = environment.usedBytes
    guard end < usedBytes + Self.bytes / 2 else { return }
    environment.changeFile { extend(usedBytes) }
  }

  /// - Parameter usedBytes: size of the part that LMDB uses.
  private mutating func extend(_ usedBytes: Int) {
    do {
      let file = try OpenFile(path, .writeOnly)
      var position = max(try file.size(), end)
      let wanted = usedBytes + Self.bytes
      let free = try FileSystem.availableBytes(path)
      // As it only improves speed, it must not use the last space of a nearly full disk.
      if position < wanted, free > 16 * Self.bytes {
        let zeros = [UInt8](repeating: 0, count: 1 << 20)
        try file.seek(to: position)
        while position < wanted {
          try file.write(all: zeros)
          position += zeros.count
        }
        try file.synchronize()
      }
      end = max(position, wanted)
    } catch {
      // Without it, commits are only slower.
      end = .max / 2
    }
  }
}
