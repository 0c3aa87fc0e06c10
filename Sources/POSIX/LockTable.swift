import Glibc
public import SystemPackage

/// Who held a flock(2) when the table was read: /proc/locks, as the kernel says it. proc_locks(5).
///
/// For the first byte of it the kernel waits until each processor has seen that somebody reads (`locks_start`):
/// some 15 ms. So it is read once for all that is asked.
public struct LockTable: Sendable {
  /// An exclusive lock, in the numbers of this pid namespace; 0: of a process in another one.
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

  /// Reads it.
  public init() {
    let text = String(decoding: (try? FileSystem.read("/proc/locks")) ?? [], as: UTF8.self)
    locks = text.split(separator: "\n").compactMap { Lock($0) }
  }

  /// - Returns: the process that took the lock on a file alone; nil when nobody has it, or it is in another pid
  ///   namespace.
  public func holder(of file: OpenFile) -> pid_t? {
    guard let status = try? file.status() else { return nil }
    let (device, inode) = (status.st_dev, UInt64(status.st_ino))
    // As makedev(3) puts them together on Linux.
    let major = UInt64(device >> 8 & 0xfff | device >> 32 & ~0xfff)
    let minor = UInt64(device & 0xff | device >> 12 & ~0xff)
    let lock = locks.first { $0.inode == inode && $0.major == major && $0.minor == minor }
    return lock.flatMap { $0.pid > 0 ? $0.pid : nil }
  }

  /// Processes, other than this one, that hold a lock on the file which `path` names, or named when they opened
  /// it: one that was removed since is meant too. Of those that we may look into.
  public func holders(of path: FilePath) -> [pid_t] {
    // The numbers of another pid namespace would name us, too, as somebody else.
    guard FileSystem.linkTarget("/proc/self") == "\(getpid())" else { return [] }
    let names = [path.string, path.string + " (deleted)"]
    // Each process is looked at once: one may hold thousands of locks and have as many files open.
    let byHolder = Dictionary(grouping: locks, by: \.pid).mapValues { Set($0.map(\.inode)) }
    return byHolder.filter { pid, inodes in
      guard pid != getpid(), let numbers = try? FileSystem.list(FilePath("/proc/\(pid)/fd")) else {
        return false
      }
      return numbers.map { FilePath("/proc/\(pid)/fd/\($0)") }.contains { descriptor in
        FileSystem.linkTarget(descriptor).map(names.contains) ?? false
          // Of all that it has open, one that it holds a lock on.
          && Self.inode(descriptor).map(inodes.contains) ?? false
      }
    }.keys.sorted()
  }

  private static func inode(_ path: FilePath) -> UInt64? {
    var status = stat()
    return path.withPlatformString({ stat($0, &status) }) == 0 ? UInt64(status.st_ino) : nil
  }
}
