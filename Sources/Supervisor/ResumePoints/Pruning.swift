import Checkpoints
public import JobStore
import POSIX
import Reporting
public import SystemPackage
import TrainerProtocol

/// Removes checkpoints of a job that is not running.
public enum Pruning {
  public struct Result: Sendable {
    public var removed: [CheckpointRecord] = []
    /// Those that were found damaged, with the damage: they are never removed.
    public var damaged: [(record: CheckpointRecord, what: String)] = []
    /// Names of directories of interrupted publications and removals, which were removed too.
    public var leftovers: [String] = []

    public init() {}
  }

  /// Also removes what an interrupted removal left, and lists again those that it had only taken from the list.
  /// - Parameters:
  ///   - names: of the checkpoints to remove, each of which is read in full first.
  ///   - keeping: names of those that stay; one of them must be intact, unless it is empty.
  ///   - reading: called before each is read.
  /// - Throws: `SupervisorError`: the job is running. `StoreError`, `CheckpointError`: nothing more was removed.
  public static func remove(
    _ names: [String], keeping: [String], of job: JobRecord, in state: FilePath,
    reading: (_ name: String) -> Void
  ) throws -> Result {
    guard let lock = try JobLock.acquire(in: state) else {
      throw SupervisorError(
        .alreadySupervised, "job '\(job.job)' is running, and its supervisor removes checkpoints itself",
        path: state,
        hint: """
          holdfast stop --state-dir \(state)  stop it first
          holdfast config keys  the settings of [checkpoint], which a reload applies
          """)
    }
    defer { withExtendedLifetime(lock) {} }
    let store = try JobStore(stateDirectory: state, .create)
    let writer = try StoreWriter(store, lookInterval: .seconds(1), report: { _ in })
    defer { writer.stop() }
    let checkpoints = LocalCheckpoints(
      directory: job.checkpointDirectory.map { FilePath($0) } ?? state.appending("checkpoints"))
    var records = try store.checkpoints()
    let unlisted = try UnlistedCheckpoints.find(in: checkpoints, of: job.id, listed: records)
    for record in unlisted where !names.contains(record.name) {
      _ = writer.submitAndWait([.checkpoint(record)])
    }
    records = (records + unlisted).sorted { ($0.step, $0.name) < ($1.step, $1.name) }
    var result = Result()
    result.leftovers = try checkpoints.leftovers()
    try checkpoints.removeLeftovers()

    func fault(of record: CheckpointRecord) -> String? {
      reading(record.name)
      return checkpoints.verify(record.name, of: job.id, step: record.step, thorough: true).fault
    }

    let kept = records.filter { keeping.contains($0.name) && $0.damage == nil }
    guard keeping.isEmpty || kept.reversed().contains(where: { fault(of: $0) == nil }) else {
      throw CheckpointError(
        .damaged, "all checkpoints that would stay are damaged; nothing was removed",
        path: checkpoints.directory,
        hint: "holdfast checkpoints verify --state-dir \(state)")
    }
    for var record in records where names.contains(record.name) {
      if let what = fault(of: record) {
        record.damage = what
        result.damaged.append((record, what))
        _ = writer.submitAndWait([.checkpoint(record)])
        continue
      }
      guard writer.submitAndWait([.removeCheckpoint(record)]) else {
        throw StoreError(.io, "the store could not be written; the remaining checkpoints stay", path: state)
      }
      try checkpoints.remove(record.name)
      result.removed.append(record)
    }
    return result
  }
}
