import Glibc
import JobStore
import POSIX
import Reporting
import SystemPackage

/// A job with a running supervisor but without its state directory. It is found by its run directory, whose
/// name contains a hash of the state directory's path.
struct LostState {
  let directory: FilePath
  private let run: FilePath
  private let lock: OpenFile

  /// - Returns: nil if no running supervisor of such a job is found.
  static func find(_ directory: FilePath, _ locations: Locations) -> LostState? {
    for root in locations.runRoots {
      for name in (try? FileSystem.list(root)) ?? [] where name.hasSuffix("-\(Locations.mark(of: directory))")
      {
        let run = root.appending(name)
        guard let lock = try? OpenFile(run.appending("lock"), .readOnly),
          (try? lock.tryLock(shared: true)) == false
        else { continue }
        return LostState(directory: directory, run: run, lock: lock)
      }
    }
    return nil
  }

  var failure: Failure {
    var hints: [Hint] = ["mv MOVED \(directory)  move it back; the job continues as before"]
    if let pid = LockTable().holder(of: lock) {
      hints.append("kill -TERM \(pid)  or stop its supervisor; the staged state stays in \(run)")
    }
    return Failure(
      .io, "the job is running, but its state directory is gone", path: directory.string,
      why: LiveRecord.degradations(in: run)?.map(\.text).joined(separator: "\n"), hints: hints)
  }
}
