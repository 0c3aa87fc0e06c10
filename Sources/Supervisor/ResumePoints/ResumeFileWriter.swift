import JobStore
import Supervision
import TrainerProtocol

/// Writes `resume.json`, which contains the resume point of an attempt.
struct ResumeFileWriter {
  let job: JobRecorder
  let attempt: AttemptRecorder
  let catalogue: ResumeCatalogue
  let runDirectory: RunDirectory

  func write(_ number: UInt64, _ skips: [BatchPosition]) throws(ProtocolError) {
    try ResumeFile(
      job: job.record.job, jobID: job.record.id, attempt: number, generation: number,
      point: catalogue.choice.file, lastRecordedStep: attempt.furthestStep,
      skip: skips.map { .init(epoch: $0.epoch, batch: $0.batch) }, hyperparameters: job.record.hyperparameters
    ).write(in: runDirectory.path)
  }
}
