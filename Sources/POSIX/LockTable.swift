import Glibc
public import SystemPackage

/// Who holds a flock(2): /proc/locks, as the kernel says it.
public enum LockTable {
  /// Processes, other than this one, that hold a lock on the file which `path` names, or named when they opened
  /// it: one that was removed since is meant too. Of those that we may look into.
  public static func holders(of path: FilePath) -> [pid_t] {
    // The numbers of another pid namespace would name us, too, as somebody else.
    guard FileSystem.linkTarget("/proc/self") == "\(getpid())" else { return [] }
    let names = [path.string, path.string + " (deleted)"]
    let holders = all().filter { lock in
      guard lock.pid != getpid(), let numbers = try? FileSystem.list(FilePath("/proc/\(lock.pid)/fd")) else {
        return false
      }
      return numbers.map { FilePath("/proc/\(lock.pid)/fd/\($0)") }.contains { descriptor in
        FileSystem.linkTarget(descriptor).map(names.contains) ?? false
          // Of all that it has open, the one that it holds the lock on.
          && inode(descriptor) == lock.inode
      }
    }
    return Set(holders.map(\.pid)).sorted()
  }

  private static func inode(_ path: FilePath) -> UInt64? {
    var status = stat()
    return path.withPlatformString({ stat($0, &status) }) == 0 ? UInt64(status.st_ino) : nil
  }

  private static func all() -> [(pid: pid_t, inode: UInt64)] {
    guard let bytes = try? FileSystem.read("/proc/locks") else { return [] }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { line in
      // `1: FLOCK  ADVISORY  WRITE 4711 00:1a:5678 0 EOF`
      let fields = line.split(separator: " ")
      guard fields.count > 5, fields[1] == "FLOCK", fields[3] == "WRITE", let pid = pid_t(fields[4]),
        let inode = fields[5].split(separator: ":").last.flatMap({ UInt64($0) })
      else { return nil }
      return (pid, inode)
    }
  }
}
