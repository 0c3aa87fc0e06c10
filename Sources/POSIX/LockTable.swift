import Glibc
public import SystemPackage

/// A snapshot of the flock(2) holders in /proc/locks: proc_locks(5).
///
/// Reading it takes some 15 ms, as the kernel synchronizes with each processor first (`locks_start`). So it is read
/// once for several queries.
public struct LockTable: Sendable {
  /// An exclusive lock. The pid is that of this pid namespace; 0: the process is in another one.
  private struct Lock: Sendable {
    var pid: pid_t
    var major: UInt64
    var minor: UInt64
    var inode: UInt64

    /// `1: FLOCK  ADVISORY  WRITE 2143 fe:00:131 0 EOF`
    init?(_ line: Substring) {
      let fields = line.split(separator: " ")
      guard fields.count > 5, fields[1] == "FLOCK", fields[3] == "WRITE", let pid = pid_t(fields[4]) else {
        return nil
      }
      let place = fields[5].split(separator: ":")
      guard place.count == 3, let major = UInt64(place[0], radix: 16),
        let minor = UInt64(place[1], radix: 16),
        let inode = UInt64(place[2])
      else { return nil }
      (self.pid, self.major, self.minor, self.inode) = (pid, major, minor, inode)
    }
  }

  private let locks: [Lock]

  /// Reads /proc/locks.
  public init() {
    let text = String(decoding: (try? FileSystem.read("/proc/locks")) ?? [], as: UTF8.self)
    locks = text.split(separator: "\n").compactMap { Lock($0) }
  }

  /// - Returns: the process that holds an exclusive lock on the file; nil if there is none, or it is in another
  ///   pid namespace.
  public func holder(of file: OpenFile) -> pid_t? {
    guard let status = try? file.status() else { return nil }
    let (device, inode) = (status.st_dev, UInt64(status.st_ino))
    // As in makedev(3) on Linux.
    let major = UInt64(device >> 8 & 0xfff | device >> 32 & ~0xfff)
    let minor = UInt64(device & 0xff | device >> 12 & ~0xff)
    let lock = locks.first { $0.inode == inode && $0.major == major && $0.minor == minor }
    return lock.flatMap { $0.pid > 0 ? $0.pid : nil }
  }

  /// Other processes that hold a lock on a file which they opened as `path`, even if it was removed since. Only
  /// processes that this one may inspect.
  public func holders(of path: FilePath) -> [pid_t] {
    // With the /proc of another pid namespace, this process itself would look like another one.
    guard FileSystem.linkTarget("/proc/self") == "\(getpid())" else { return [] }
    let names = [path.string, path.string + " (deleted)"]
    // Each process is inspected once: it may have thousands of locks and open files.
    let byHolder = Dictionary(grouping: locks, by: \.pid).mapValues { Set($0.map(\.inode)) }
    return byHolder.filter { pid, inodes in
      guard pid != getpid(), let numbers = try? FileSystem.list(FilePath("/proc/\(pid)/fd")) else {
        return false
      }
      return numbers.map { FilePath("/proc/\(pid)/fd/\($0)") }.contains { descriptor in
        FileSystem.linkTarget(descriptor).map(names.contains) ?? false
          // Of its open files, one that it holds a lock on.
          && Self.inode(descriptor).map(inodes.contains) ?? false
      }
    }.keys.sorted()
  }

  private static func inode(_ path: FilePath) -> UInt64? {
    var status = stat()
    return path.withPlatformString({ stat($0, &status) }) == 0 ? UInt64(status.st_ino) : nil
  }
}
