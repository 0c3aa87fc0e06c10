import Glibc
import POSIX
import SystemPackage

/// One supervisor per job: a flock(2) that the kernel releases when its holder dies, however it
/// dies. The file itself is never removed: whoever had it open would lock a file without a name.
final class JobLock {
  static let name = "lock"

  private let file: OpenFile

  /// - Returns: nil when another supervisor holds it.
  static func take(in directory: FilePath) throws(POSIXError) -> JobLock? {
    let file = try OpenFile(directory.appending(name), O_RDWR | O_CREAT)
    guard try file.tryLock() else { return nil }
    return JobLock(file)
  }

  private init(_ file: OpenFile) { self.file = file }
}
