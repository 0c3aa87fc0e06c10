import Glibc

/// Device and inode, to detect two paths of the same directory.
struct FileIdentity: Hashable, Sendable {
  let device: UInt64
  let inode: UInt64

  init(_ path: String) throws(LMDBError) {
    var status = stat()
    guard stat(path, &status) == 0 else {
      let code = errno
      throw LMDBError(code: code, operation: "stat", path: path)
    }
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
  }
}
