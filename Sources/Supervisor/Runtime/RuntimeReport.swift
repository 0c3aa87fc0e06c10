import JobStore
import Metrics
import Preemption

/// What threads report to the loop.
enum RuntimeReport: Sendable {
  case store(StoreReport)
  case detached
  case publisher(Publisher.Result)
  /// The checkpoint is in the store, unless the commit failed.
  case recorded(Publisher.Publication, durable: Bool)
  /// The resume point was read in full; `fault` says what is wrong with it.
  case pointRead(ResumeCandidates.Source, fault: String?)
  /// An old checkpoint was read in full; `fault` says what is wrong with it.
  case read(CheckpointRecord, fault: String?)
  case preemption(NoticeReport)
  case metrics(MetricsReport)
  /// The state directory is displaced, with a description; nil: it is back in place.
  case stateDirectory(String?)
  /// The counters of the metrics are in the store, or cannot be.
  case metricsPersisted
  case replication(Replicator.Report)
  case adoption(Adoption.Report)
  /// Memory or disk will not suffice for the job's states.
  case shortage(String)
  /// Slots were allocated ahead of a copy.
  case arenaPrepared
}
