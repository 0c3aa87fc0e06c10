import Glibc
import POSIX
import SystemPackage

/// The run directory as it was locked. Invariant: nothing is written to what takes its place, unless that was
/// found private and locked in turn.
final class RunDirectory {
  private let directories: JobDirectory
  private var locked: Locked

  private struct Locked {
    var directory: OpenFile
    var lock: JobLock

    /// - Returns: nil when another job holds it.
    static func acquire(_ directories: JobDirectory) throws -> Locked? {
      try directories.prepareRun()
      let directory = try OpenFile(directory: directories.run)
      return try JobLock.acquire(in: directories.run).map { Locked(directory: directory, lock: $0) }
    }
  }

  /// Makes it where it is not there, and locks it.
  /// - Returns: nil when another job holds it.
  static func acquire(_ directories: JobDirectory) throws -> RunDirectory? {
    try Locked.acquire(directories).map { RunDirectory(directories, $0) }
  }

  private init(_ directories: JobDirectory, _ locked: Locked) {
    self.directories = directories
    self.locked = locked
  }

  var path: FilePath { directories.run }

  var displacement: OpenFile.Displacement? { locked.directory.displacement }

  /// Makes and locks what is to be the run directory from now on, where this one is not in its place.
  /// - Returns: false when another job has locked it.
  func reacquire() throws -> Bool {
    guard displacement != nil else { return true }
    guard let acquired = try Locked.acquire(directories) else { return false }
    locked = acquired
    return true
  }
}
