import Glibc
import POSIX
import SystemPackage

/// The run directory as it was locked. Invariant: nothing is written to what takes its place, unless that was
/// found private and locked in turn.
final class RunDirectory {
  private let directory: OpenFile
  private let lock: JobLock

  /// Makes it where it is not there, and locks it.
  /// - Returns: nil when another job holds it.
  static func take(_ directories: JobDirectory) throws -> RunDirectory? {
    try directories.prepareRun()
    let directory = try OpenFile(directory: directories.run)
    guard let lock = try JobLock.take(in: directories.run) else { return nil }
    return RunDirectory(directory, lock)
  }

  private init(_ directory: OpenFile, _ lock: JobLock) {
    self.directory = directory
    self.lock = lock
  }

  var displacement: OpenFile.Displacement? { directory.displacement }
}
