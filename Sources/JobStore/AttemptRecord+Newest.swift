extension AttemptRecord {
  /// The record of a running attempt with the steps that were recorded since it was written.
  public func updated(to newest: SnapshotRow?) -> AttemptRecord {
    guard running, let newest, newest.attempt == attempt else { return self }
    var record = self
    let first = firstStep ?? (resumedFrom?.step ?? 0) &+ 1
    record.firstStep = first
    record.lastStep = newest.step
    record.lastStepAtNs = newest.timeNs
    record.steps = max(steps, newest.step >= first ? newest.step - first &+ 1 : 0)
    return record
  }
}
