import Checkpoints
import JobStore
import POSIX
import Reporting
import Supervision
import SystemPackage
import TrainerProtocol
import Vocabulary

/// Applies `--set` once: the changes are recorded with the job, and every later attempt gets them.
struct HyperparameterAction {
  let assignments: [Assignment]

  func apply(to recovered: inout Recovery.Result) throws {
    var job = recovered.job
    let step = recovered.choice.point.step
    let known = try Self.known(recovered)
    guard !known.isEmpty else {
      throw SupervisorError(
        .otherJob, "job '\(job.job)' has recorded no hyperparameters that --set could change",
        hint:
          "a new job gets them from its own command; a trainer records them with attach(hyperparameters: …)")
    }
    var current = known
    var changes: [HyperparameterChange] = []
    for assignment in assignments {
      let (name, value) = try assignment.value(in: current)
      guard let before = current[name], before != value else { continue }
      changes.append(HyperparameterChange(name: name, from: before, to: value, step: step))
      current[name] = value
    }
    guard !changes.isEmpty else {
      return Console.line("the hyperparameters have these values already; --set changes nothing")
    }
    job.hyperparameters = current
    job.hyperparameterChanges = (job.hyperparameterChanges ?? []) + changes
    let text =
      "hyperparameters were changed (--set): \(changes.map(\.words).joined(separator: ", "))"
      + (step > 0 ? "; from step \(Words.number(step)) on the run differs from an undisturbed one" : "")
    var operations: [StoreOperation] = [
      .job(job),
      .event(
        EventRecord(
          timeNs: Clock.wallNanoseconds, kind: Stored(.hyperparametersChanged), attempt: 0, step: step,
          isWarning: false, message: text)),
    ]
    if step > 0 {
      // An undisturbed run has the old values in all steps.
      let deviation = Self.deviation(changes, after: step, attempt: recovered.standing.attempt + 1)
      operations.append(.deviation(deviation))
      recovered.deviation = recovered.deviation ?? deviation
    }
    guard recovered.writer.submitAndWait(operations) else {
      throw SupervisorError(.io, "the changed hyperparameters could not be recorded")
    }
    recovered.job = job
    Console.line(text)
  }

  /// Those of the job; before its first attempt those of the checkpoint or of the run that it begins after.
  private static func known(_ recovered: Recovery.Result) throws -> Hyperparameters {
    if !recovered.job.hyperparameters.isEmpty { return recovered.job.hyperparameters }
    for place in [recovered.checkpoints, LocalCheckpoints(directory: recovered.directories.initialWeights)] {
      let manifests = try place.names().compactMap { place.verify($0, thorough: false).manifest }
      if let newest = manifests.max(by: { $0.step < $1.step }) { return newest.hyperparameters }
    }
    guard let run = recovered.directories.archivedRuns.last else { return [:] }
    return try JobStore(stateDirectory: run, .readOnly).job()?.hyperparameters ?? [:]
  }

  private static func deviation(
    _ changes: [HyperparameterChange], after step: UInt64, attempt: UInt64
  ) -> Deviation {
    let items = changes.map {
      ReplayAudit.Item(
        part: ReplayAudit.Item.hyperparameter, name: $0.name, recorded: $0.from.number, replayed: $0.to.number
      )
    }
    return Deviation(attempt: attempt, difference: ReplayAudit.Difference(step: step + 1, items: items))
  }
}
