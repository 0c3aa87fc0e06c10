import JobStore
import POSIX
import Supervision
import SystemPackage
import TrainerProtocol

/// Maintains `best.json`, by which the trainer knows the best checkpoints. It is replaced when its contents change, at
/// most a few times for each checkpoint and each validation.
final class BestCheckpointsFile {
  private let core: Core
  private let catalogue: ResumeCatalogue
  private let runDirectory: RunDirectory
  /// Of the checkpoints.
  private let directory: FilePath
  private var current = BestCheckpoints(attempt: 0)
  private var written: BestCheckpoints?
  /// What the policies' lists were made from.
  private var source: (revision: UInt64, policies: [CheckpointPolicy])?
  private var isFailing = false

  init(_ core: Core, _ catalogue: ResumeCatalogue, _ runDirectory: RunDirectory, _ directory: FilePath) {
    self.core = core
    self.catalogue = catalogue
    self.runDirectory = runDirectory
    self.directory = directory
  }

  /// Called before the trainer of an attempt starts.
  func begin(attempt: UInt64) {
    current.attempt = attempt
    current.logged = 0
    written = nil
    update()
  }

  /// Called when the trainer has reported metrics of a step after it.
  func addLogged() { current.logged &+= 1 }

  /// Called after each report that may change what the file contains.
  func update() {
    let state = core.state
    current.answered = state.request.map { $0.sequence - 1 } ?? state.lastSequence
    current.finishedStep = state.attempt?.finishedStep
    current.publishingStep = state.publication?.step
    let policies = state.policy.policies
    if source?.revision != catalogue.revision || source?.policies != policies {
      source = (catalogue.revision, policies)
      current.policies = Self.policies(policies, catalogue.records, in: directory)
    }
    // Not after the directory was cleared at the end of the job, and never into a directory that replaced it.
    guard current != written, state.phase != .done, runDirectory.displacement == nil else { return }
    do throws(POSIXError) {
      try current.write(in: runDirectory.path)
      written = current
      isFailing = false
    } catch {
      if !isFailing { Console.warning("the trainer cannot be told of the best checkpoints: \(error)") }
      isFailing = true
    }
  }

  private static func policies(
    _ policies: [CheckpointPolicy], _ records: [CheckpointRecord], in directory: FilePath
  ) -> [BestCheckpoints.Policy] {
    let listed = records.map { $0.listed($0.damage == nil ? .verified : .damaged) }
    return Retention.best(listed, policies).map { policy, best in
      BestCheckpoints.Policy(
        monitor: policy.monitor ?? "", mode: policy.mode.rawValue, weightsOnly: policy.weightsOnly,
        checkpoints: best.map {
          .init(
            path: directory.appending($0.checkpoint.name).string, step: $0.checkpoint.step, score: $0.score)
        })
    }
  }
}
