import Glibc
import JobStore
import POSIX
import Reporting
import SystemPackage
import TrainerProtocol

/// A checkpoint directory outside of the state directory. It serves one job: a file in it names that job, and another
/// one is locked as long as the job is supervised.
final class CheckpointDirectory: Sendable {
  // Not the name of a checkpoint.
  private static let lockName = ".holdfast-lock"

  /// As it was opened; its path may later refer to another one.
  let directory: OpenFile
  private let lock: OpenFile
  private let mark: CheckpointMark
  private let device: dev_t

  private init(_ directory: OpenFile, _ lock: OpenFile, _ mark: CheckpointMark) throws(POSIXError) {
    self.directory = directory
    self.lock = lock
    self.mark = mark
    device = try directory.status().st_dev
  }

  /// Identifies its filesystem also after a reboot; nil: unknown.
  var filesystem: String? { try? FileSystem.identity(ofFilesystem: directory.path) }

  /// Creates the directory if it does not exist, and claims it for the job.
  /// - Throws: it belongs to another job, or it was never claimed and cannot be written to.
  static func acquire(
    _ directories: JobDirectory, _ job: JobRecord
  ) throws(SupervisorError) -> CheckpointDirectory {
    let path = directories.checkpoints
    do throws(POSIXError) {
      try FileSystem.makeDirectories(path, mode: 0o750)
    } catch {
      throw unusable(path, error)
    }
    return try claim(path, CheckpointMark(job: job.job, jobID: job.id, state: directories.state))
  }

  private static func claim(
    _ path: FilePath, _ new: CheckpointMark
  ) throws(SupervisorError) -> CheckpointDirectory {
    let acquired: (directory: OpenFile, lock: OpenFile, isFree: Bool, mark: CheckpointMark?)
    do throws(POSIXError) {
      let directory = try OpenFile(directory: path)
      let lock = try openLock(path.appending(lockName))
      acquired = (directory, lock, try lock.tryLock(), try CheckpointMark.read(in: path))
    } catch {
      throw unusable(path, error)
    }
    // The same job may have been moved, but not copied.
    if let mark = acquired.mark, mark.stateDirectory != new.stateDirectory,
      mark.jobID != new.jobID || FileSystem.exists(FilePath(mark.stateDirectory).appending("store"))
    {
      throw SupervisorError(
        .otherJob, "the checkpoint directory belongs to job '\(mark.job)' in \(mark.stateDirectory)",
        path: path,
        hint: """
          use another one: --checkpoint-dir DIR
          rm \(path.appending(CheckpointMark.name))  if that job is gone; its checkpoints stay
          """)
    }
    guard acquired.isFree else {
      throw SupervisorError(
        .alreadySupervised, "the checkpoint directory is used by another supervisor", path: path,
        hint: "use another one: --checkpoint-dir DIR")
    }
    do throws(POSIXError) {
      try write(new, over: acquired.mark, in: path)
      return try CheckpointDirectory(acquired.directory, acquired.lock, new)
    } catch {
      throw unusable(path, error)
    }
  }

  /// A filesystem that has become read-only has the lock already, which flock(2) needs no write access for.
  private static func openLock(_ path: FilePath) throws(POSIXError) -> OpenFile {
    do throws(POSIXError) {
      return try OpenFile(path, .lock, create: .ifAbsent(mode: 0o640))
    } catch {
      guard error.errno == .readOnlyFileSystem, FileKind.of(path) != nil else { throw error }
      return try OpenFile(path, .readOnly)
    }
  }

  /// The disk may be full: a mark that names this job is sufficient, and the next start renews it.
  private static func write(
    _ new: CheckpointMark, over old: CheckpointMark?, in directory: FilePath
  ) throws(POSIXError) {
    if new == old { return }
    do throws(POSIXError) {
      try FileSystem.replace(
        directory.appending(CheckpointMark.name), with: JSON.encode(new), durable: true, mode: 0o640)
    } catch {
      guard error.errno.isOfDisk, let old, old.isSameJob(as: new) else { throw error }
      Console.warning("cannot renew \(directory.appending(CheckpointMark.name)): \(error.reason)")
    }
  }

  /// Claims the directory again if it was removed, and creates it if nobody did. One that was moved away may come back.
  /// One on another filesystem is not touched: it is below the mount point of a filesystem that is no longer mounted.
  func restoreIfRemoved() throws {
    guard directory.displacement == .removed else { return }
    let path = directory.path
    let place = FileSystem.exists(path) ? path : path.removingLastComponent()
    guard try OpenFile(directory: place).status().st_dev == device else { return }
    if place != path {
      try posix("mkdir", path) { path.withPlatformString { mkdir($0, 0o750) } }
      try FileSystem.synchronizeDirectory(place)
    }
    let new = try Self.claim(path, mark)
    try lock.refer(to: new.lock)
    try directory.refer(to: new.directory)
    Console.line("the checkpoint directory \(path) was removed; it is created again")
  }

  private static func unusable(_ path: FilePath, _ error: POSIXError) -> SupervisorError {
    let what: Hint =
      switch error.errno {
      case .readOnlyFileSystem: "findmnt -T \(path)  it is mounted read-only"
      case .diskQuotaExceeded: "quota -s  free some space within the quota"
      case _ where error.errno.isNoRoom: "df -h \(path); df -i \(path)  free some space or inodes"
      default: "ls -ld \(path)"
      }
    return SupervisorError(
      error.errno.isOfDisk ? .io : .cannotCreate, "cannot use the checkpoint directory",
      path: error.path ?? path, why: error.reason,
      hint: "\(what)\nuse another one: --checkpoint-dir DIR")
  }
}
