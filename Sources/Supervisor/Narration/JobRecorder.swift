import JobStore
import POSIX
import TrainerProtocol

/// The record of the job: what its trainer declares, and its end.
final class JobRecorder {
  private let writer: StoreWriter
  private(set) var record: JobRecord

  init(_ record: JobRecord, _ writer: StoreWriter) {
    self.record = record
    self.writer = writer
  }

  func persist() { writer.submit([.job(record)]) }

  func attached(_ attached: Attached) {
    record.totalSteps = attached.totalSteps ?? record.totalSteps
    record.totalEpochs = attached.totalEpochs ?? record.totalEpochs
    record.batchesPerEpoch = attached.batchesPerEpoch ?? record.batchesPerEpoch
    if !attached.hyperparameters.isEmpty { record.hyperparameters = attached.hyperparameters }
    record.interpreter = attached.interpreter ?? record.interpreter
    persist()
  }

  /// The caller persists it.
  func finish(atStep step: UInt64) {
    record.finishedAtNs = Clock.wallNanoseconds
    record.finishedStep = step
  }
}
