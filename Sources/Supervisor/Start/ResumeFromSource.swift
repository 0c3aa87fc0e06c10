import Checkpoints
import POSIX
import Reporting
import Storage
import SystemPackage

/// Finds the checkpoint that `--resume-from` names, and reads it in full.
struct ResumeFromSource {
  let place: String
  let directories: JobDirectory
  let environment: [String]

  /// The directory of the checkpoint, and its manifest; nil: the beginning.
  func locate() throws -> (path: FilePath, manifest: Manifest)? {
    guard place != "none" else { return nil }
    let path = try named() ?? fetch()
    return (path, try verify(path))
  }

  /// One of the job, or of any directory. A place at a remote storage is neither.
  private func named() throws -> FilePath? {
    let own = directories.checkpoints.appending(place)
    if LocalCheckpoints.isValid(place), FileKind.of(own) == .directory { return own }
    if let path = FileSystem.canonical(FilePath(place)), FileSystem.isDirectory(path) { return path }
    if place.contains(":"), !place.hasPrefix("/") { return nil }
    throw SupervisorError(
      .otherJob, "no checkpoint '\(place)'", path: directories.checkpoints,
      why:
        "it is not the name of one of the job's checkpoints, not a directory, and not a place at a remote storage",
      hint: "holdfast checkpoints list --state-dir \(directories.state)  the job's checkpoints")
  }

  private func verify(_ path: FilePath) throws(SupervisorError) -> Manifest {
    let checkpoints = LocalCheckpoints(directory: path.removingLastComponent())
    let verdict = checkpoints.verify(path.lastComponent?.string ?? "", thorough: true)
    if let manifest = verdict.manifest { return manifest }
    throw SupervisorError(
      .damaged, "the checkpoint is damaged", path: path, why: verdict.fault,
      hint: "use another one: holdfast checkpoints list JOB")
  }

  // MARK: Remote storage

  /// A place for a checkpoint of a remote storage, until it is copied into the job.
  private var fetched: FilePath { directories.state.appending("runs/.fetched") }

  func removeFetched() { try? FileSystem.removeTree(fetched) }

  /// Loads `REMOTE:PATH/JOB` or `REMOTE:PATH/JOB/NAME`.
  private func fetch() throws -> FilePath {
    if let fault = RemoteSettings.fault(ofPlace: place) {
      throw SupervisorError(.otherJob, "invalid place at a remote storage: \(fault)")
    }
    let parts = place.split(separator: "/").map(String.init)
    do {
      for (depth, name) in [(1, nil), (2, parts.last)] where parts.count > depth {
        let settings = RemoteSettings(place: parts.dropLast(depth).joined(separator: "/"))
        let remote = try Remote(settings, job: parts[parts.count - depth], environment: environment)
        let found = try remote.storage.list(isCancelled: { false }).checkpointsByStep
          .last { $0.fault == nil && (name == nil ? !$0.isWeightsOnly : $0.key.name == name) }
        guard let found else { continue }
        try FileSystem.makeDirectories(fetched, mode: 0o750)
        let path = fetched.appending(found.key.name)
        try? FileSystem.removeTree(path)
        try remote.storage.load(found.key, into: path, Transfer())
        return path
      }
    } catch let error as StorageError {
      throw SupervisorError(
        .io, "cannot load from the remote storage: \(error.what)", why: error.why, hint: error.hint)
    }
    throw SupervisorError(
      .otherJob, "the remote storage has no checkpoint at '\(place)'",
      hint: "holdfast checkpoints pull JOB --remote REMOTE:PATH --list  what is there")
  }
}
