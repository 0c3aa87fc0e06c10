import Checkpoints
import POSIX
import Reporting
import SystemPackage
import TrainerProtocol

/// What `--resume-from` does, written down beside a copy of the checkpoint before the first change. It is removed after
/// the store has recorded it, so that the next start completes what was interrupted.
struct ResumeFromPlan: Codable {
  var place: String
  var weightsOnly: Bool
  /// Of the checkpoint.
  var step: UInt64
  /// Of the job that begins with it.
  var jobID: JobID
  /// Whether that job replaces another one, whose steps are set aside.
  var replaces: Bool
  /// Of the job, outside of the state directory.
  var checkpointDirectory: String?

  enum CodingKeys: String, CodingKey {
    case place, weightsOnly, step, replaces, checkpointDirectory
    case jobID = "jobId"
  }

  private static let name = "plan.json"

  private static func directory(_ state: FilePath) -> FilePath { state.appending("runs/.resume-from") }

  static func copies(in state: FilePath) -> LocalCheckpoints { LocalCheckpoints(directory: directory(state)) }

  /// Replaces that of an earlier action.
  /// - Parameters:
  ///   - source: the checkpoint, which is copied as one of the new job; nil: the beginning.
  func prepare(_ source: (path: FilePath, manifest: Manifest)?, job: String, in state: FilePath) throws {
    try Self.discard(in: state)
    let directory = Self.directory(state)
    try FileSystem.makeDirectories(directory, mode: 0o750)
    if let source { try copy(source.path, source.manifest, job, to: Self.copies(in: state)) }
    // Last: without it, the copy may not be complete.
    try FileSystem.replace(
      directory.appending(Self.name), with: JSON.encode(self), durable: true, mode: 0o640)
    try FileSystem.synchronizeDirectory(directory.removingLastComponent())
  }

  private func copy(_ source: FilePath, _ from: Manifest, _ job: String, to copies: LocalCheckpoints) throws {
    var manifest = Manifest(
      job: job, jobID: jobID.hexadecimal, attempt: 0, generation: 0, cutID: CutID().hexadecimal,
      step: from.step, epoch: from.epoch, batch: from.batch, samples: from.samples,
      createdAt: Timestamp.text(Clock.wallNanoseconds), metrics: from.metrics)
    manifest.hyperparameters = from.hyperparameters
    manifest.weightsOnly = from.weightsOnly
    if let adopted = AdoptedFiles(from, in: source) {
      _ = try copies.adopt(
        adopted.source, manifest, name: "adopted-\(from.step)", known: nil, isUnchanged: { true })
      return
    }
    let loaded = try LocalCheckpoints.load(at: source, thorough: false)
    _ = try loaded.withImage { image throws(CheckpointError) in
      try copies.publish(image: image, manifest, isIntact: { loaded.isIntact })
    }
  }

  /// - Returns: nil: nothing is planned.
  /// - Throws: it is unreadable.
  static func read(in state: FilePath) throws(SupervisorError) -> ResumeFromPlan? {
    let path = directory(state).appending(name)
    guard FileKind.of(path) != nil else { return nil }
    var why: String?
    do throws(POSIXError) {
      if let plan: ResumeFromPlan = JSON.decode(try FileSystem.read(path)) { return plan }
    } catch {
      why = error.reason
    }
    throw SupervisorError(
      .damaged,
      "it is not known from what the job was to begin: --resume-from was interrupted, and its plan is "
        + "unreadable", path: path, why: why,
      hint: """
        ls -l \(state.appending("runs"))  earlier steps of the job, and the copy in .resume-from
        rm -r \(directory(state))  then name the checkpoint again: holdfast run --resume-from DIR …
        """)
  }

  static func discard(in state: FilePath) throws(POSIXError) {
    // The plan first, as it promises a complete copy.
    for path in [directory(state).appending(name), directory(state)] where FileKind.of(path) != nil {
      try FileSystem.removeTree(path)
    }
  }
}
