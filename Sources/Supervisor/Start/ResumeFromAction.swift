import Checkpoints
import JobStore
import POSIX
import Reporting
import SystemPackage
import TrainerProtocol
import Vocabulary

/// Applies `--resume-from` once, before the job is loaded. All of it is planned before the first change, and an
/// interruption is completed by the next start.
struct ResumeFromAction {
  let job: String
  let directories: JobDirectory

  /// What was applied, in the store.
  private struct Applied: Codable {
    static let document = "resume_from"
    var place: String
    var weightsOnly: Bool
    var atNs: UInt64
  }

  private var state: FilePath { directories.state }

  private static func applied(_ store: JobStore) throws(StoreError) -> Applied? {
    try store.document(Applied.document)
  }

  /// Whether this was applied to the job.
  private func isApplied(_ place: String, _ weightsOnly: Bool, _ store: JobStore) throws -> Bool {
    try Self.applied(store).map { $0.place == place && $0.weightsOnly == weightsOnly } ?? false
  }

  static func beganWithWeights(_ store: JobStore) throws(StoreError) -> Bool {
    try applied(store)?.weightsOnly ?? false
  }

  /// Whether the job began with a state that the user named.
  static func wasApplied(_ store: JobStore) throws(StoreError) -> Bool { try applied(store) != nil }

  // MARK: Planning

  /// - Parameter open: opens the store.
  /// - Returns: the store, which is another one if the job's steps were set aside.
  func apply(
    _ wanted: ResumeFrom, environment: [String], to opened: JobStore, open: () throws -> JobStore
  ) throws -> JobStore {
    if try isApplied(wanted.place, wanted.weightsOnly, opened) {
      Console.line("--resume-from \(wanted.place) was applied before; the job continues with its own state")
      return opened
    }
    let search = ResumeFromSource(place: wanted.place, directories: directories, environment: environment)
    let source = try search.locate()
    if let source, source.manifest.weightsOnly == true, !wanted.weightsOnly {
      throw Self.weightsOnly(source.path)
    }
    if wanted.weightsOnly, source?.manifest.adopted != nil {
      throw SupervisorError(
        .otherJob,
        "\(wanted.place) is a copy of the trainer's own file, whose weights holdfast does not know",
        hint: "leave out --resume-weights-only")
    }
    let step = source?.manifest.step ?? 0
    let newest = try max(
      opened.newestSnapshots(1).last?.step ?? 0, opened.checkpoints().last?.step ?? 0,
      opened.job()?.finishedStep ?? 0)
    let replaces = newest > 0 && (wanted.weightsOnly || source == nil || newest > step)
    if replaces, !wanted.isConfirmed {
      throw SupervisorError(
        .otherJob, "job '\(job)' has made steps up to \(Words.number(newest)), which would be set aside",
        path: state, hint: "add --yes: they are kept as a run of their own, as with --again")
    }
    // A job of another id has other steps, and other files in memory.
    let plan = ResumeFromPlan(
      place: wanted.place, weightsOnly: wanted.weightsOnly, step: step,
      jobID: replaces ? JobID() : try opened.job()?.id ?? JobID(), replaces: replaces,
      checkpointDirectory: directories.ownCheckpoints?.string)
    try plan.prepare(source, job: job, in: state)
    search.removeFetched()
    var store: JobStore? = opened
    if replaces {
      store = nil
      Console.line("the steps of job \(job) so far are set aside: \(try directories.archive())")
      store = try open()
    }
    guard let store else { preconditionFailure("it was opened above") }
    try carryOut(plan, store)
    return store
  }

  private static func weightsOnly(_ path: FilePath) -> SupervisorError {
    SupervisorError(
      .otherJob, "the checkpoint has only weights, and no training can be continued from it", path: path,
      why: "it was saved by a policy with weights-only",
      hint: "add --resume-weights-only: the run begins with these weights, at step 0")
  }

  // MARK: Carrying out

  /// Completes an action that was interrupted, unless another one replaces it.
  /// - Parameter configured: the checkpoint directory, if it is named again.
  func completeInterrupted(_ wanted: ResumeFrom?, _ configured: FilePath?, _ store: JobStore) throws {
    guard var plan = try ResumeFromPlan.read(in: state) else { return try ResumeFromPlan.discard(in: state) }
    let current = try store.job()?.id
    // Another job: its steps were not set aside yet.
    guard current ?? plan.jobID == plan.jobID, try !isApplied(plan.place, plan.weightsOnly, store) else {
      return try ResumeFromPlan.discard(in: state)
    }
    if let wanted, wanted.place != plan.place || wanted.weightsOnly != plan.weightsOnly { return }
    Console.line("completing --resume-from \(plan.place), which was interrupted")
    plan.checkpointDirectory = configured?.string ?? plan.checkpointDirectory
    try carryOut(plan, store)
  }

  private func carryOut(_ plan: ResumeFromPlan, _ store: JobStore) throws {
    // Ring and arena belong to the steps that were set aside.
    if plan.replaces { for path in directories.memory { try FileSystem.removeTree(path) } }
    if plan.place != "none" { try place(plan) }
    var record = JobRecord(job: job, id: plan.jobID, createdAtNs: Clock.wallNanoseconds, command: [])
    record.checkpointDirectory = plan.checkpointDirectory
    // Listed from the start, as a copy that the job made itself.
    let copies =
      try plan.place == "none" || plan.weightsOnly
      ? []
      : UnlistedCheckpoints.find(
        in: LocalCheckpoints(directory: placed(plan)), of: plan.jobID, listed: store.checkpoints())
    let from = plan.place == "none" ? "the beginning" : "\(plan.place), step \(Words.number(plan.step))"
    let text = "job \(job) begins with \(plan.weightsOnly ? "the weights of " : "")\(from) (--resume-from)"
    try store.change(
      copies.filter { $0.step == plan.step }.map { .checkpoint($0) } + [
        .job(store.job() ?? record),
        .document(
          Applied.document,
          Applied(place: plan.place, weightsOnly: plan.weightsOnly, atNs: Clock.wallNanoseconds)),
        .event(
          EventRecord(
            timeNs: Clock.wallNanoseconds, kind: Stored(.resumedFrom), attempt: 0, step: plan.step,
            isWarning: false, message: text)),
      ])
    Console.line(text)
    try ResumeFromPlan.discard(in: state)
  }

  /// The directory for the copy.
  private func placed(_ plan: ResumeFromPlan) -> FilePath {
    var directories = directories
    directories.ownCheckpoints = plan.checkpointDirectory.map { FilePath($0) }
    return plan.weightsOnly ? directories.initialWeights : directories.checkpoints
  }

  /// Moves the copy to its place, unless that was done before an interruption.
  private func place(_ plan: ResumeFromPlan) throws {
    let place = placed(plan)
    let copies = ResumeFromPlan.copies(in: state)
    let names = try copies.names()
    // Damaged ones of an earlier action must not stay beside them.
    if plan.weightsOnly, !names.isEmpty, FileKind.of(place) != nil { try FileSystem.removeTree(place) }
    try FileSystem.makeDirectories(place, mode: 0o750)
    for name in names {
      var free = name
      while FileKind.of(place.appending(free)) != nil { free += "-resumed" }
      try FileSystem.rename(copies.path(of: name), to: place.appending(free))
    }
    try FileSystem.synchronizeDirectory(place)
    let placed = LocalCheckpoints(directory: place)
    guard
      try placed.names().contains(where: {
        placed.verify($0, of: plan.jobID, step: plan.step, thorough: false).manifest != nil
      })
    else {
      throw SupervisorError(
        .damaged, "the copy of \(plan.place), with which the job was to begin, is missing or damaged",
        path: place,
        hint: "name the checkpoint again: holdfast run --resume-from DIR …")
    }
  }
}
