import Checkpoints
import Glibc
import JobStore
import POSIX
import Reporting
import SystemPackage

/// Finds the directory of a job's checkpoints before anything is written to it. Below a mount point whose filesystem is
/// not mounted, the job would start from the beginning, and its new checkpoints would fill another disk.
struct CheckpointPlace {
  let state: FilePath
  let store: JobStore

  /// The directory of the configuration, else that of the job's earlier runs.
  /// - Returns: nil: in the state directory.
  /// - Throws: the job's checkpoints are in another one, and would not be found any more; or they should be in this one,
  ///   and it is not there.
  func select(_ configured: FilePath?) throws -> FilePath? {
    let job = try store.job()
    let recorded = job?.checkpointDirectory.map { FilePath($0) }
    let listed = try store.checkpoints()
    let used = recorded ?? state.appending("checkpoints")
    guard let job, let place = configured ?? recorded else { return configured }
    if place == recorded {
      try checkPresence(place, job, listed)
      return place
    }
    // Moved there, or lost: then the user decided to continue without them.
    guard let newest = listed.last, !contains([newest], place), contains(listed, used) else { return place }
    throw SupervisorError(
      .cannotCreate, "the job's checkpoints are in another directory", path: used,
      why: "its newest one is \(newest.name)",
      hint: """
        mkdir -p \(place) && mv \(used)/* \(place)/  move them, then run the same command again
        use that directory: --checkpoint-dir \(used)
        """)
  }

  private func contains(_ records: [CheckpointRecord], _ directory: FilePath) -> Bool {
    let checkpoints = LocalCheckpoints(directory: directory)
    return records.reversed().contains { FileKind.of(checkpoints.path(of: $0.name)) == .directory }
  }

  /// The directory is in place if one of the listed checkpoints is in it, or if it is on the filesystem on which it was:
  /// then the user removed what is missing.
  private func checkPresence(_ place: FilePath, _ job: JobRecord, _ listed: [CheckpointRecord]) throws {
    if listed.isEmpty && job.checkpointFilesystem == nil || contains(listed, place) { return }
    if isMarked(place, job, isEnough: listed.isEmpty || job.checkpointFilesystem == nil) { return }
    var status = stat()
    let code = place.withPlatformString { stat($0, &status) } == 0 ? nil : Errno(rawValue: errno)
    if code == nil || code == .noSuchFileOrDirectory, let known = job.checkpointFilesystem,
      let found = try? FileSystem.identity(ofFilesystem: Self.existing(place)), found == known
    {
      return
    }
    let missing =
      code.map { POSIXError("stat", path: place, errno: $0).reason }
      ?? "it contains neither the job's checkpoints nor its file \(CheckpointMark.name)"
    let count = UInt64(listed.count)
    let promise =
      listed.last.map {
        "; \(Words.count(count, "checkpoint")) should be there, the newest one is \($0.name)"
      }
      ?? ""
    throw SupervisorError(
      .io, "the job's checkpoint directory is missing; is its filesystem mounted?", path: place,
      why: missing + promise,
      hint: """
        findmnt -T \(place)  what is mounted there; mount the filesystem, then run the same command again
        --checkpoint-dir DIR  where the checkpoints are now, or another directory, to continue without them
        mkdir -p \(place) && truncate -s 0 \(place.appending(CheckpointMark.name))  continue here without them
        """)
  }

  /// - Parameter isEnough: whether a mark of this job suffices. An empty one does always, as the user made it; a mark of
  ///   the job may be one below the mount point, of an earlier start without the filesystem.
  private func isMarked(_ place: FilePath, _ job: JobRecord, isEnough: Bool) -> Bool {
    let path = place.appending(CheckpointMark.name)
    guard let file = try? OpenFile(path, .readOnly), let bytes = try? file.size() else { return false }
    if bytes == 0 { return true }
    let own = CheckpointMark(job: job.job, jobID: job.id, state: state)
    return isEnough && (try? CheckpointMark.read(in: place))?.isSameJob(as: own) ?? false
  }

  /// The nearest directory on the path that exists.
  private static func existing(_ path: FilePath) -> FilePath {
    let parent = path.removingLastComponent()
    return FileSystem.exists(path) || parent.isEmpty || parent == path ? path : existing(parent)
  }
}
