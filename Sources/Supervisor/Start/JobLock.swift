import Glibc
import POSIX
import SystemPackage

/// One supervisor per job: a flock(2), which the kernel releases when its holder dies. The file is never removed: a
/// process that had it open would lock a file without a name.
final class JobLock {
  static let name = "lock"

  private let file: OpenFile

  /// Readers briefly acquire the lock too, to check whether it is held.
  private static let lockAttempts = 20

  /// - Returns: nil when another supervisor holds it.
  static func acquire(in directory: FilePath) throws(POSIXError) -> JobLock? {
    // Readable by the group: `status` checks by the lock whether a supervisor is running.
    let file = try OpenFile(directory.appending(name), .lock, create: .ifAbsent(mode: 0o640))
    for _ in 0..<lockAttempts {
      if try file.tryLock() { return JobLock(file) }
      usleep(10_000)
    }
    return nil
  }

  private init(_ file: OpenFile) { self.file = file }

  /// Device and inode. While the file is open, its inode number is not reused.
  func identity() throws(POSIXError) -> String { try file.identity() }

  /// Identity of the lock in `directory`; nil if there is none.
  static func identity(in directory: FilePath) -> String? {
    guard let file = try? OpenFile(directory.appending(name), .readOnly) else {
      return nil
    }
    return try? file.identity()
  }
}
