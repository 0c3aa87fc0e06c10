public import JobStore
import POSIX
public import Supervision

extension CheckpointRecord {
  /// As retention judges it.
  public func listed(_ condition: Retention.Condition) -> Retention.Listed {
    .init(
      name: name, step: step, condition: condition, day: LocalDay.number(ofNs: createdAtNs), metrics: metrics,
      reasons: Set(savedFor ?? []), weightsOnly: !isWhole)
  }
}
