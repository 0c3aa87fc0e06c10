import Glibc
import SystemPackage

/// What the kernel tells of locks, in /proc/locks: proc_locks(5).
public enum FileLocks {
  /// - Returns: the process that took the flock(2) on a file alone; nil when nobody has it, or it is in another
  ///   pid namespace.
  public static func holder(of file: OpenFile) -> pid_t? {
    guard let status = try? file.status() else { return nil }
    let text = String(decoding: (try? FileSystem.read("/proc/locks")) ?? [], as: UTF8.self)
    for line in text.split(separator: "\n") {
      // `1: FLOCK  ADVISORY  WRITE 2143 fe:00:131 0 EOF`
      let fields = line.split(separator: " ")
      guard fields.count >= 6, fields[1] == "FLOCK", fields[3] == "WRITE", let pid = pid_t(fields[4]) else {
        continue
      }
      let place = fields[5].split(separator: ":")
      guard place.count == 3, UInt64(place[2]) == UInt64(status.st_ino),
        UInt64(place[0], radix: 16) == major(status.st_dev),
        UInt64(place[1], radix: 16) == minor(status.st_dev)
      else { continue }
      return pid > 0 ? pid : nil
    }
    return nil
  }

  /// As makedev(3) puts them together on Linux.
  private static func major(_ device: dev_t) -> UInt64 { UInt64(device >> 8 & 0xfff | device >> 32 & ~0xfff) }
  private static func minor(_ device: dev_t) -> UInt64 { UInt64(device & 0xff | device >> 12 & ~0xff) }
}
