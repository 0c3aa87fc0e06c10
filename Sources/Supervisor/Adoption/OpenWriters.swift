import Glibc
import POSIX
import SystemPackage

/// Finds processes that have a file open for writing, by /proc. Processes of other users are not visible.
enum OpenWriters {
  static func exist(for candidate: AdoptionCandidate) -> Bool {
    let own = "\(getpid())"
    let names = Set(candidate.files.compactMap { $0.source.lastComponent?.string })
    for process in (try? FileSystem.list("/proc")) ?? []
    where process.first?.isNumber == true && process != own {
      let descriptors = FilePath("/proc/\(process)/fd")
      for number in (try? FileSystem.list(descriptors)) ?? [] {
        // The name first: stat(2) of a file on a server that does not answer would block.
        guard let target = FileSystem.linkTarget(descriptors.appending(number)),
          let name = target.split(separator: "/").last, names.contains(String(name))
        else { continue }
        var status = stat()
        guard descriptors.appending(number).withPlatformString({ stat($0, &status) }) == 0,
          candidate.files.contains(where: {
            $0.device == UInt64(status.st_dev) && $0.inode == UInt64(status.st_ino)
          }), isWriting(process, number)
        else { continue }
        return true
      }
    }
    return false
  }

  /// By the flags of open(2), in octal digits: proc_pid_fdinfo(5).
  private static func isWriting(_ process: String, _ descriptor: String) -> Bool {
    let text = (try? FileSystem.read(FilePath("/proc/\(process)/fdinfo/\(descriptor)"))) ?? []
    for line in String(decoding: text, as: UTF8.self).split(separator: "\n") where line.hasPrefix("flags:") {
      let flags = Int32(line.dropFirst(6).filter(\.isNumber), radix: 8) ?? O_RDONLY
      return flags & O_ACCMODE != O_RDONLY
    }
    return false
  }
}
