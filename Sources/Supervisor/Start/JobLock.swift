import Glibc
import POSIX
import SystemPackage

/// One supervisor per job: a flock(2) that the kernel releases when its holder dies, however it
/// dies. The file itself is never removed: whoever had it open would lock a file without a name.
final class JobLock {
  static let name = "lock"

  private let file: OpenFile

  /// Readers take it too, for the moment in which they look whether anybody holds it.
  private static let lockAttempts = 20

  /// - Returns: nil when another supervisor holds it.
  static func acquire(in directory: FilePath) throws(POSIXError) -> JobLock? {
    // Readable by the group: `status` asks the lock whether a supervisor lives.
    let file = try OpenFile(directory.appending(name), .lock, create: .ifAbsent(mode: 0o640))
    for _ in 0..<lockAttempts {
      if try file.tryLock() { return JobLock(file) }
      usleep(10_000)
    }
    return nil
  }

  private init(_ file: OpenFile) { self.file = file }

  /// Device and inode. The number of a file that is held is not given to another one.
  func identity() throws(POSIXError) -> String { try file.identity() }

  /// Of the lock in `directory`; nil where there is none.
  static func identity(in directory: FilePath) -> String? {
    guard let file = try? OpenFile(directory.appending(name), .readOnly) else {
      return nil
    }
    return try? file.identity()
  }
}
