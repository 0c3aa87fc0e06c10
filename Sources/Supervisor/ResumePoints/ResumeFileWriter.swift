import Checkpoints
import JobStore
import POSIX
import Reporting
import Supervision
import SystemPackage
import TrainerProtocol
import Vocabulary

/// Writes `resume.json`, which contains the resume point of an attempt.
struct ResumeFileWriter {
  let job: JobRecorder
  let attempt: AttemptRecorder
  let catalogue: ResumeCatalogue
  let runDirectory: RunDirectory

  /// The weights that the job begins with; nil: none.
  private var weights: ResumeFile.Point? {
    let directory = ResumeFromAction.weights(in: catalogue.candidates.directories.state)
    let checkpoints = LocalCheckpoints(directory: directory)
    guard let name = try? checkpoints.names().first else { return nil }
    let path = checkpoints.path(of: name).appending(LocalCheckpoints.stateName)
    guard let size = try? OpenFile(path, .readOnly).size() else { return nil }
    var point = ResumeFile.Point(
      level: Stored(.durable), step: 0, path: path.string, offsetBytes: 0, lengthBytes: UInt64(size),
      cutID: nil)
    point.weightsOnly = true
    return point
  }

  func write(_ number: UInt64, _ skips: [BatchPosition]) throws(ProtocolError) {
    try ResumeFile(
      job: job.record.job, jobID: job.record.id, attempt: number, generation: number,
      point: catalogue.choice.file ?? weights, lastRecordedStep: attempt.furthestStep,
      skip: skips.map { .init(epoch: $0.epoch, batch: $0.batch) }, hyperparameters: job.record.hyperparameters
    ).write(in: runDirectory.path)
  }
}
