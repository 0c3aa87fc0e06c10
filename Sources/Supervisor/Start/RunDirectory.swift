import Glibc
import POSIX
import SystemPackage

/// The locked run directory. Invariant: nothing is written to a directory that replaced it, unless that one was found
/// private and was locked in turn.
final class RunDirectory {
  private let directories: JobDirectory
  private var locked: Locked

  private struct Locked {
    var directory: OpenFile
    var lock: JobLock

    /// - Returns: nil if another job holds the lock.
    static func acquire(_ directories: JobDirectory) throws -> Locked? {
      try directories.prepareRun()
      let directory = try OpenFile(directory: directories.run)
      return try JobLock.acquire(in: directories.run).map { Locked(directory: directory, lock: $0) }
    }
  }

  /// Creates the directory if it does not exist, and locks it.
  /// - Returns: nil if another job holds the lock.
  static func acquire(_ directories: JobDirectory) throws -> RunDirectory? {
    try Locked.acquire(directories).map { RunDirectory(directories, $0) }
  }

  private init(_ directories: JobDirectory, _ locked: Locked) {
    self.directories = directories
    self.locked = locked
  }

  var path: FilePath { directories.run }

  var displacement: OpenFile.Displacement? { locked.directory.displacement }

  /// Frees the memory of a finished job.
  func clear() {
    for path in directories.memory {
      do {
        try FileSystem.removeTree(path)
      } catch {
        Console.warning("cannot clear the run directory: \(error)")
      }
    }
  }

  /// Creates and locks a new run directory if this one is not in place.
  /// - Returns: false if another job has locked it.
  func reacquire() throws -> Bool {
    guard displacement != nil else { return true }
    guard let acquired = try Locked.acquire(directories) else { return false }
    locked = acquired
    return true
  }
}
