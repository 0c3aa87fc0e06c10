import JobStore
import Reporting
import Supervision
import TrainerProtocol

/// What travels with the checkpoints of a job, so that another machine continues its history: attempts, events, the
/// restart budget, the names of metrics.
struct RemoteHistory: Sendable, Codable {
  /// Of each kind; older ones stay on the machine that made them.
  static let longest = 5000

  var formatVersion = 1
  var job: JobRecord
  var standing: Standing?
  var metricNames: [String]
  var deviation: Deviation?
  var checkpoints: [CheckpointRecord]
  var attempts: [AttemptRecord]
  var events: [EventRecord]

  init(_ store: JobStore, _ job: JobRecord) throws(StoreError) {
    self.job = try store.job() ?? job
    standing = try store.document("standing")
    metricNames = try store.metricNames()
    deviation = try store.deviation()
    checkpoints = try store.checkpoints().suffix(Self.longest)
    // The record of a running attempt does not have its newest steps.
    let newest = try store.newestSnapshots(1).last
    attempts = try store.attempts.newest(Self.longest).map { $0.updated(to: newest) }
    events = try store.events.newest(Self.longest)
  }

  /// The changes that add it to an empty store. Checkpoints are found where they are.
  var operations: [StoreOperation] {
    var operations: [StoreOperation] = [.document("metric_names", metricNames)]
    if let standing { operations.append(.document("standing", standing.plausible)) }
    if let deviation { operations.append(.deviation(deviation)) }
    operations += attempts.map { .attempt($0) }
    operations += events.map { .event($0) }
    return operations
  }
}
