import POSIX
import Reporting
import SystemPackage
import TrainerProtocol

/// The file in a checkpoint directory outside of the state directory that names the job whose checkpoints it contains.
struct CheckpointMark: Codable, Hashable, Sendable {
  // Not the name of a checkpoint.
  static let name = ".holdfast-job"

  var job: String
  var jobID: String
  /// Without symbolic links.
  var stateDirectory: String

  enum CodingKeys: String, CodingKey {
    case job, stateDirectory
    case jobID = "jobId"
  }

  init(job: String, jobID: JobID, state: FilePath) {
    self.job = job
    self.jobID = jobID.hexadecimal
    stateDirectory = (FileSystem.canonical(state) ?? state).string
  }

  /// nil: there is none, or it is unreadable.
  static func read(in directory: FilePath) throws(POSIXError) -> CheckpointMark? {
    let path = directory.appending(name)
    guard FileKind.of(path) != nil else { return nil }
    return JSON.decode(try OpenFile(path, .readOnly).read(atMost: 1 << 16))
  }

  /// Whether both name one job. The same state directory has another job after --again, and a job may have been moved.
  func isSameJob(as other: CheckpointMark) -> Bool {
    jobID == other.jobID || stateDirectory == other.stateDirectory
  }
}
