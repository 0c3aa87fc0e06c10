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
  let best: BestCheckpointsFile

  func write(_ number: UInt64, _ skips: [BatchPosition]) throws {
    let weights = InitialWeights(catalogue.candidates.directories, job.record.id)
    var file = ResumeFile(
      job: job.record.job, jobID: job.record.id, attempt: number, generation: number,
      point: try catalogue.choice.file ?? weights.point(thorough: false),
      lastRecordedStep: attempt.furthestStep,
      skip: skips.map { .init(epoch: $0.epoch, batch: $0.batch) }, hyperparameters: job.record.hyperparameters
    )
    file.hyperparameterChanges = job.record.hyperparameterChanges
    file.arenaDisk = catalogue.candidates.directories.arena.disk?.string
    try file.write(in: runDirectory.path)
    best.begin(attempt: number)
  }
}
