import Checkpoints
import JobStore
import POSIX
import TrainerProtocol

extension CheckpointRecord {
  /// - Parameter beganNs: CLOCK_MONOTONIC when the work on it began.
  init(_ published: PublishedCheckpoint, _ cut: CutID, since beganNs: UInt64) {
    let manifest = published.manifest
    self.init(
      name: published.name, step: manifest.step, cut: cut, attempt: manifest.attempt,
      epoch: manifest.epoch, batch: manifest.batch, bytes: published.bytes,
      digest: published.digest.hexadecimal, digestAlgorithm: published.digest.algorithm.rawValue,
      createdAtNs: Clock.wallNanoseconds, tookNs: Clock.monotonicNanoseconds - beganNs,
      metrics: manifest.metrics)
  }
}
