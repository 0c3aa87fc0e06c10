import Glibc

/// Detects that a file was written, truncated, replaced or removed: the kernel updates ctime with each change, and
/// no program can set it.
struct FileState: Hashable {
  private let device: dev_t
  private let inode: ino_t
  private let links: nlink_t
  private let bytes: Int
  private let seconds: Int
  private let nanoseconds: Int

  init?(_ descriptor: CInt) {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return nil }
    device = status.st_dev
    inode = status.st_ino
    links = status.st_nlink
    bytes = Int(status.st_size)
    seconds = status.st_ctim.tv_sec
    nanoseconds = status.st_ctim.tv_nsec
  }

  /// Whether this file is at `path`.
  func isFile(at path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 && status.st_dev == device && status.st_ino == inode
  }
}
