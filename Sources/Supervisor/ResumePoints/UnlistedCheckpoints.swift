public import Checkpoints
public import JobStore
import POSIX
import Reporting
import SystemPackage
public import TrainerProtocol
import Vocabulary

/// Complete checkpoints of a job that its store does not list, as an interruption left them: published but not
/// recorded, or taken from the list but not removed.
public enum UnlistedCheckpoints {
  public static func find(
    in checkpoints: LocalCheckpoints, of job: JobID, listed: [CheckpointRecord]
  ) throws(CheckpointError) -> [CheckpointRecord] {
    find(in: checkpoints, Set(try checkpoints.names()), of: job, listed: listed)
  }

  /// - Parameter names: of all directories of checkpoints.
  static func find(
    in checkpoints: LocalCheckpoints, _ names: Set<String>, of job: JobID, listed: [CheckpointRecord]
  ) -> [CheckpointRecord] {
    names.subtracting(listed.map(\.name)).sorted().compactMap { name in
      guard case .verified(let manifest) = checkpoints.verify(name, thorough: false),
        manifest.jobID == job.hexadecimal, let cut = CutID(manifest.cutID),
        let file = manifest.files.first, let digest = file.digest
      else { return nil }
      let adopted = AdoptedFiles(manifest, in: checkpoints.path(of: name))
      var record = CheckpointRecord(
        name: name, step: manifest.step, cut: cut, attempt: manifest.attempt, epoch: manifest.epoch,
        batch: manifest.batch, bytes: manifest.files.map(\.bytes).saturatingSum,
        digest: (adopted?.digest ?? digest).hexadecimal,
        digestAlgorithm: (adopted?.digest ?? digest).algorithm.rawValue,
        createdAtNs: Timestamp.nanoseconds(manifest.createdAt) ?? Clock.wallNanoseconds,
        tookNs: 0, metrics: manifest.metrics)
      record.weightsOnly = manifest.weightsOnly
      record.adopted = adopted.map(AdoptedFile.init)
      return record
    }
  }
}
