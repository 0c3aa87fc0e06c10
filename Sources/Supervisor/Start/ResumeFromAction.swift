import Checkpoints
import Glibc
import JobStore
import POSIX
import Reporting
import Storage
import SystemPackage
import TrainerProtocol
import Vocabulary

/// Applies `--resume-from` once, before the job is loaded. The checkpoint is first copied into a directory aside, so that
/// an interruption after the job's own steps were set aside is completed by the next start.
struct ResumeFromAction {
  let wanted: ResumeFrom
  let job: String
  let directories: JobDirectory
  let environment: [String]

  /// What was applied, in the store.
  private struct Applied: Codable {
    static let document = "resume_from"
    var place: String
    var weightsOnly: Bool
    var atNs: UInt64
  }

  /// Weights that the job began with are here, as a checkpoint.
  static func weights(in state: FilePath) -> FilePath { state.appending("initial-weights") }

  private var aside: FilePath { directories.state.appending("runs/.resume-from") }

  // MARK: Applying

  /// - Parameter open: opens the store.
  /// - Returns: the store, which is another one if the job's steps were set aside.
  func apply(to opened: JobStore, open: () throws -> JobStore) throws -> JobStore {
    if let done: Applied = try opened.document(Applied.document), done.place == wanted.place,
      done.weightsOnly == wanted.weightsOnly
    {
      Console.line("--resume-from \(wanted.place) was applied before; the job continues with its own state")
      return opened
    }
    let source = try locate()
    let step = try source.map { try check($0) } ?? 0
    var store: JobStore? = opened
    let newest = try max(
      opened.newestSnapshots(1).last?.step ?? 0, opened.checkpoints().last?.step ?? 0,
      opened.job()?.finishedStep ?? 0)
    let replaces = newest > 0 && (wanted.weightsOnly || source == nil || newest > step)
    if replaces, !wanted.isConfirmed {
      throw SupervisorError(
        .otherJob, "job '\(job)' has made steps up to \(Words.number(newest)), which would be set aside",
        path: directories.state, hint: "add --yes: they are kept as a run of their own, as with --again")
    }
    // A job of another id has other steps, and other files in memory.
    let id = replaces ? JobID() : try opened.job()?.id ?? JobID()
    if let source { try copy(source, id) }
    var record =
      try opened.job() ?? JobRecord(job: job, id: id, createdAtNs: Clock.wallNanoseconds, command: [])
    if replaces {
      store = nil
      let kept = try directories.archive()
      Console.line("the steps of job \(job) so far are set aside: \(kept)")
      record = JobRecord(job: job, id: id, createdAtNs: Clock.wallNanoseconds, command: [])
      try clearMemory()
      store = try open()
    }
    guard let store else { preconditionFailure("it was opened above") }
    if source != nil { try place() }
    let from = source == nil ? "the beginning" : "\(wanted.place), step \(Words.number(step))"
    let text = "job \(job) begins with \(wanted.weightsOnly ? "the weights of " : "")\(from) (--resume-from)"
    try submit(
      [
        .job(record),
        .document(
          Applied.document,
          Applied(place: wanted.place, weightsOnly: wanted.weightsOnly, atNs: Clock.wallNanoseconds)),
        .event(
          EventRecord(
            timeNs: Clock.wallNanoseconds, kind: Stored(.resumedFrom), attempt: 0, step: step,
            isWarning: false,
            message: text)),
      ], to: store)
    Console.line(text)
    return store
  }

  private func submit(_ operations: [StoreOperation], to store: JobStore) throws {
    let writer = try StoreWriter(store, lookInterval: .seconds(1), report: { _ in })
    defer { writer.stop() }
    guard writer.submitAndWait(operations) else {
      throw SupervisorError(.io, "the store cannot be written", path: directories.store)
    }
  }

  /// Ring and arena belong to the steps that were set aside.
  private func clearMemory() throws {
    for name in (try? FileSystem.list(directories.run)) ?? [] where name != JobLock.name {
      try FileSystem.removeTree(directories.run.appending(name))
    }
  }

  // MARK: The source

  /// The checkpoint's directory; nil: the beginning.
  private func locate() throws -> FilePath? {
    if wanted.place == "none" { return nil }
    let own = directories.checkpoints.appending(wanted.place)
    if LocalCheckpoints.isValid(wanted.place), FileKind.of(own) == .directory { return own }
    if let path = FileSystem.canonical(FilePath(wanted.place)), FileSystem.isDirectory(path) { return path }
    guard wanted.place.contains(":"), !wanted.place.hasPrefix("/") else {
      throw SupervisorError(
        .otherJob, "no checkpoint '\(wanted.place)'", path: directories.checkpoints,
        why:
          "it is not the name of one of the job's checkpoints, not a directory, and not a place at a remote storage",
        hint: "holdfast checkpoints list --state-dir \(directories.state)  the job's checkpoints")
    }
    return try fetch()
  }

  /// Loads `REMOTE:PATH/JOB` or `REMOTE:PATH/JOB/NAME`.
  private func fetch() throws -> FilePath {
    if let fault = RemoteSettings.fault(ofPlace: wanted.place) {
      throw SupervisorError(.otherJob, "invalid place at a remote storage: \(fault)")
    }
    let parts = wanted.place.split(separator: "/").map(String.init)
    let destination = directories.state.appending("runs/.fetched")
    do {
      for (depth, name) in [(1, nil), (2, parts.last)] where parts.count > depth {
        let place = parts.dropLast(depth).joined(separator: "/")
        let remote = try Remote(
          RemoteSettings(place: place), job: parts[parts.count - depth], environment: environment)
        let found = try remote.storage.list(isCancelled: { false }).checkpoints
          .filter { $0.fault == nil && (name == nil || $0.key.name == name) }
        guard let newest = found.max(by: { ($0.step ?? 0, $0.key) < ($1.step ?? 0, $1.key) }) else {
          continue
        }
        try FileSystem.makeDirectories(destination, mode: 0o750)
        let path = destination.appending(newest.key.name)
        try? FileSystem.removeTree(path)
        try remote.storage.load(newest.key, into: path, Transfer())
        return path
      }
    } catch let error as StorageError {
      throw SupervisorError(
        .io, "cannot load from the remote storage: \(error.what)", why: error.why, hint: error.hint)
    }
    throw SupervisorError(
      .otherJob, "the remote storage has no checkpoint at '\(wanted.place)'",
      hint: "holdfast checkpoints pull JOB --remote REMOTE:PATH --list  what is there")
  }

  /// - Returns: its step.
  private func check(_ source: FilePath) throws -> UInt64 {
    let checkpoints = LocalCheckpoints(directory: source.removingLastComponent())
    let verdict = checkpoints.verify(source.lastComponent?.string ?? "", thorough: true)
    if let manifest = verdict.manifest { return manifest.step }
    throw SupervisorError(
      .damaged, "the checkpoint is damaged", path: source, why: verdict.fault,
      hint: "use another one: holdfast checkpoints list JOB")
  }

  // MARK: The copy

  /// Copies it aside, as a checkpoint of this job.
  private func copy(_ source: FilePath, _ id: JobID) throws {
    if FileKind.of(aside) != nil { try FileSystem.removeTree(aside) }
    try FileSystem.makeDirectories(aside, mode: 0o750)
    let loaded = try LocalCheckpoints(directory: source.removingLastComponent())
      .load(source.lastComponent?.string ?? "", thorough: false)
    let from = loaded.manifest
    var manifest = Manifest(
      job: job, jobID: id.hexadecimal, attempt: 0, generation: 0, cutID: CutID().hexadecimal, step: from.step,
      epoch: from.epoch, batch: from.batch, samples: from.samples,
      createdAt: Timestamp.text(Clock.wallNanoseconds), metrics: from.metrics)
    manifest.hyperparameters = from.hyperparameters
    let copies = LocalCheckpoints(directory: aside)
    _ = try loaded.withImage { image throws(CheckpointError) in
      try copies.publish(image: image, manifest, isIntact: { loaded.isIntact })
    }
  }

  /// Moves the copy to its place.
  private func place() throws {
    let place = wanted.weightsOnly ? Self.weights(in: directories.state) : directories.checkpoints
    if wanted.weightsOnly, FileKind.of(place) != nil { try FileSystem.removeTree(place) }
    try FileSystem.makeDirectories(place, mode: 0o750)
    for name in try LocalCheckpoints(directory: aside).names() {
      var free = name
      while FileKind.of(place.appending(free)) != nil { free += "-resumed" }
      try FileSystem.rename(aside.appending(name), to: place.appending(free))
    }
    try FileSystem.synchronizeDirectory(place)
    try FileSystem.removeTree(aside)
    try? FileSystem.removeTree(directories.state.appending("runs/.fetched"))
  }

  /// Completes an action that was interrupted after the job's steps were set aside: the store is empty then.
  static func finish(_ directories: JobDirectory, _ store: JobStore) throws {
    let aside = directories.state.appending("runs/.resume-from")
    guard FileKind.of(aside) == .directory else { return }
    guard try store.job() == nil else { return try FileSystem.removeTree(aside) }
    throw SupervisorError(
      .io, "--resume-from was interrupted; the job has no state yet", path: aside,
      hint: "run the same command with --resume-from again, or remove that directory to begin anew")
  }
}
