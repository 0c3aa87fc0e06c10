import Glibc
import JobStore
import POSIX
import Reporting
import SystemPackage

/// A job whose supervisor lives while its state directory is gone: what can be told comes from the run
/// directory, whose name has a mark of the path where the state was.
struct LostState {
  let directory: FilePath
  private let run: FilePath
  private let lock: OpenFile

  /// - Returns: nil when nobody supervises a job whose state was at this path, as far as can be found.
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
    var hints: [Hint] = ["mv MOVED \(directory)  put it back, and the job goes on as before"]
    if let pid = LockTable().holder(of: lock) {
      hints.append("kill -TERM \(pid)  or stop its supervisor; what is staged stays in \(run)")
    }
    return Failure(
      .io, "the job is running, but its state directory is gone", path: directory.string,
      why: LiveRecord.degraded(in: run)?.joined(separator: "\n"), hints: hints)
  }
}
