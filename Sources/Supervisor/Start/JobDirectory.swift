import Glibc
import JobStore
import POSIX
import Reporting
import SystemPackage
import TrainerProtocol

/// The directories of a job: the state directory, which contains everything that persists, and the run directory,
/// which need not survive a reboot.
struct JobDirectory {
  let state: FilePath
  let run: FilePath
  /// Directory of the checkpoints outside of the state directory; nil: they are in it.
  var ownCheckpoints: FilePath?

  init(state: FilePath, run: FilePath) {
    self.state = state
    self.run = run
  }

  var checkpoints: FilePath { ownCheckpoints ?? stateCheckpoints }
  private var stateCheckpoints: FilePath { state.appending("checkpoints") }
  var store: FilePath { state.appending("store") }
  var initialWeights: FilePath { state.appending("initial-weights") }

  var arena: ArenaPlace { ArenaPlace(run, state: state, boot: ProcessTable.bootID) }

  /// What the run directory contains besides its lock, and what found no room in it.
  var memory: [FilePath] {
    ((try? FileSystem.list(run)) ?? []).filter { $0 != JobLock.name }.map { run.appending($0) }
      + ArenaPlace.onDisk(state)
  }

  /// Removes images that an earlier boot staged on disk. Nothing waited until they were written.
  func removeArenasOfEarlierBoots() throws(POSIXError) {
    for path in ArenaPlace.onDisk(state) where path != arena.disk { try FileSystem.removeTree(path) }
  }

  /// Creates the state directory if it does not exist, and checks that it is writable.
  func prepareState() throws(SupervisorError) {
    do {
      try FileSystem.makeDirectories(state, mode: 0o750)
    } catch {
      throw SupervisorError(
        .cannotCreate, "cannot create the state directory", path: error.path ?? state, why: "\(error.errno)",
        hint: "use another one: holdfast run --state-dir DIR …")
    }
    guard state.withPlatformString({ access($0, W_OK | X_OK) }) == 0 else {
      throw SupervisorError(
        .cannotCreate, "cannot write to the state directory", path: state, why: "\(Errno(rawValue: errno))",
        hint: "ls -ld \(state); or use another one: holdfast run --state-dir DIR …")
    }
    for path in [store, stateCheckpoints, initialWeights, runs] { try checkDirectory(path) }
  }

  /// Files below the state directory are written, renamed and removed, so links are not followed.
  private func checkDirectory(_ path: FilePath) throws(SupervisorError) {
    guard let kind = FileKind.of(path), kind != .directory else { return }
    let hint: Hint =
      kind == .symbolicLink
      ? "use that place for the whole state directory: --state-dir DIR; or: mount --bind TARGET \(path)"
      : "move it away: mv \(path) \(path).aside"
    throw SupervisorError(
      .cannotCreate, "this path of the job must be a directory", path: path,
      why: "it is \(kind.rawValue)", hint: hint)
  }

  /// Creates the run directory, private to this user.
  func prepareRun() throws(SupervisorError) {
    try checkTrust()
    do {
      try FileSystem.makeDirectories(run, mode: 0o700)
    } catch {
      throw SupervisorError(
        .cannotCreate, "cannot create the run directory", path: error.path ?? run, why: "\(error.errno)",
        hint: "use another one on tmpfs: holdfast run --run-dir DIR …")
    }
    // Again, for directories that were created meanwhile.
    try checkTrust()
    var status = stat()
    guard run.withPlatformString({ lstat($0, &status) }) == 0, status.st_mode & S_IFMT == S_IFDIR,
      status.st_uid == geteuid(), status.st_mode & 0o022 == 0
    else {
      throw notPrivate(run, why: "it is not a directory of this user, or others may write to it")
    }
  }

  /// Someone who can replace a directory on the path could substitute a ring or an image.
  private func checkTrust() throws(SupervisorError) {
    do throws(PathTrust.Fault) {
      try PathTrust.check(run)
    } catch {
      throw notPrivate(error.path, why: error.why)
    }
  }

  private func notPrivate(_ path: FilePath, why: String) -> SupervisorError {
    SupervisorError(
      .cannotCreate, "the run directory is not private to this user", path: path, why: why,
      hint: """
        ls -ld \(path)  who owns it; root can remove it
        use another one on tmpfs: holdfast run --run-dir DIR …
        """)
  }

  private var runs: FilePath { state.appending("runs") }
  /// A run that is being archived; complete when it has a store, which is moved last.
  private var archiving: FilePath { runs.appending(".archiving") }

  /// Archives a finished run as a job directory of its own: `runs/1`, `runs/2`, … If this is interrupted, the next
  /// start continues: as long as the store is in place, the job counts as finished.
  /// - Returns: the directory of the archived run.
  func archive() throws(SupervisorError) -> FilePath {
    do {
      try FileSystem.makeDirectories(archiving, mode: 0o750)
      // Checkpoints in a directory of their own stay there; the archived run names that directory.
      for path in [stateCheckpoints, initialWeights, store] where FileSystem.exists(path) {
        try FileSystem.rename(path, to: archiving.appending(path.lastComponent?.string ?? ""))
        for path in [archiving, runs, state] { try FileSystem.synchronizeDirectory(path) }
      }
      return try nameArchive()
    } catch {
      throw archiveFailure(error)
    }
  }

  /// Completes an interrupted archiving. If the store was moved, the run gets its number; if not, everything is moved
  /// back to the finished run.
  func finishArchiving() throws(SupervisorError) {
    do {
      if FileSystem.exists(archiving.appending("store")) {
        _ = try nameArchive()
        return
      }
      for path in [stateCheckpoints, initialWeights] where FileKind.of(path) == nil {
        let moved = archiving.appending(path.lastComponent?.string ?? "")
        guard FileSystem.exists(moved) else { continue }
        try FileSystem.rename(moved, to: path)
        for path in [state, archiving] { try FileSystem.synchronizeDirectory(path) }
      }
    } catch {
      throw archiveFailure(error)
    }
  }

  /// Directories of earlier runs, the oldest first.
  var archivedRuns: [FilePath] {
    let numbered = ((try? FileSystem.list(runs)) ?? []).compactMap { name in Int(name).map { ($0, name) } }
    return numbered.sorted(by: <).map { runs.appending($0.1) }
  }

  private func nameArchive() throws(POSIXError) -> FilePath {
    // Entries of the user may have any number as their name: they are never replaced.
    let taken = try FileSystem.list(runs).compactMap { Int($0) }.filter { $0 < 1 << 53 }.max() ?? 0
    var number = max(0, taken) + 1
    while FileSystem.exists(runs.appending("\(number)")) { number += 1 }
    let kept = runs.appending("\(number)")
    try FileSystem.rename(archiving, to: kept)
    try FileSystem.synchronizeDirectory(runs)
    return kept
  }

  private func archiveFailure(_ error: POSIXError) -> SupervisorError {
    SupervisorError(
      .io, "cannot archive the finished run", path: error.path ?? runs, why: "\(error.errno)",
      hint: "df \(state); ls -l \(state)")
  }
}
