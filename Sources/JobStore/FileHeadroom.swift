import Glibc
import LMDB
import POSIX
import SystemPackage

/// Keeps LMDB's data file longer than its used part, by written zeros. A commit that makes the file
/// grow must wait for the filesystem's journal; one that writes into it does not, and takes a tenth
/// of the time. LMDB goes by the page numbers in its meta pages and does not mind the rest.
struct FileHeadroom {
  static let bytes = 4 << 20

  private let path: FilePath
  private var end = 0

  init(store directory: FilePath) { path = directory.appending("data.mdb") }

  mutating func keep(_ environment: Environment) {
    let usedBytes = environment.usedBytes
    guard end < usedBytes + Self.bytes / 2 else { return }
    environment.changeFile { extend(usedBytes) }
  }

  /// - Parameter usedBytes: what LMDB uses of the file.
  private mutating func extend(_ usedBytes: Int) {
    do {
      let file = try OpenFile(path, .writeOnly)
      var position = max(try file.size(), end)
      let wanted = usedBytes + Self.bytes
      let free = try FileSystem.availableBytes(path)
      // Only speed is at stake: never take a nearly full disk's last room for it.
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
      // Without it commits are slower, and nothing else.
      end = .max / 2
    }
  }
}
