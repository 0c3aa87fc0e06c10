import Glibc
import POSIX
import Reporting
import SystemPackage

/// A directory that is removed with this value.
final class TemporaryDirectory {
  let path: FilePath

  /// - Parameter environment: `NAME=value`; `TMPDIR` says where.
  init(environment: [String]) throws(StorageError) {
    let parent = environment.first { $0.hasPrefix("TMPDIR=/") }?.dropFirst("TMPDIR=".count) ?? "/tmp"
    var template = Array("\(parent)/holdfast-XXXXXX".utf8CString)
    guard let created = mkdtemp(&template) else {
      throw StorageError(
        "cannot create a temporary directory",
        POSIXError("mkdtemp", path: FilePath(String(parent)), errno: Errno(rawValue: errno)))
    }
    path = FilePath(platformString: created)
  }

  /// What cannot be removed is small, and in a directory for such files.
  deinit { try? FileSystem.removeTree(path) }
}
