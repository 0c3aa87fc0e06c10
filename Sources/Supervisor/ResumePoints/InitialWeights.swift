import Checkpoints
import POSIX
import Reporting
import SystemPackage
import TrainerProtocol
import Vocabulary

/// The weights with which a job begins, by `--resume-weights-only`: a checkpoint beside the others, used at step 0.
struct InitialWeights {
  private let checkpoints: LocalCheckpoints
  private let jobID: JobID

  init(_ directories: JobDirectory, _ jobID: JobID) {
    checkpoints = LocalCheckpoints(directory: directories.initialWeights)
    self.jobID = jobID
  }

  /// - Parameters:
  ///   - thorough: as for `LocalCheckpoints.verify`.
  ///   - isRequired: the job is known to begin with weights.
  /// - Returns: nil: the job begins without weights.
  /// - Throws: they are damaged or missing. The job must not begin with others.
  func point(thorough: Bool, isRequired: Bool = false) throws(SupervisorError) -> ResumeFile.Point? {
    guard isRequired || FileKind.of(checkpoints.directory) != nil else { return nil }
    let name = (try? checkpoints.names())?.first
    let fault =
      name.map { checkpoints.verify($0, of: jobID, step: nil, thorough: thorough).fault } ?? "missing"
    let path = checkpoints.path(of: name ?? "").appending(LocalCheckpoints.stateName)
    guard fault == nil, let size = try? OpenFile(path, .readOnly).size() else {
      throw SupervisorError(
        .damaged, "the weights with which the job begins are damaged", path: checkpoints.directory,
        why: fault,
        hint:
          "name an intact checkpoint by another path than before: holdfast run --resume-from DIR --resume-weights-only --yes …"
      )
    }
    var point = ResumeFile.Point(
      level: Stored(.durable), step: 0, path: path.string, offsetBytes: 0, lengthBytes: UInt64(size),
      cutID: nil)
    point.weightsOnly = true
    return point
  }
}
