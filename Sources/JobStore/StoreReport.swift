import Reporting
import TrainerProtocol

public enum StoreReport: Sendable {
  case drained(Drained)
  /// The store cannot be written. Changes are kept in memory, up to a limit.
  case degraded(String)
  /// - droppedRecords: events and attempts.
  case recovered(droppedSnapshots: UInt64, droppedRecords: UInt64)
  /// The ring of this attempt was truncated and is no longer read.
  case ringLost(attempt: UInt64)
  /// The store may be older than what was reported as durable: it was damaged while open and was recovered
  /// or, without a repair, was overwritten by another program. Records must be submitted again.
  case replaced(StoreRepair?)
}
