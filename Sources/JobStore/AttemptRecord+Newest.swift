extension AttemptRecord {
  /// The record of a running attempt with the steps that were recorded since it was written.
  public func updated(to newest: SnapshotRow?) -> AttemptRecord {
    guard running, let newest, newest.attempt == attempt else { return self }
    var record = reaching(step: newest.step)
    record.lastStepAtNs = newest.timeNs
    return record
  }

  /// The record with all steps up to this one.
  public func reaching(step: UInt64) -> AttemptRecord {
    var record = self
    let first = firstStep ?? (resumedFrom?.step ?? 0) &+ 1
    record.firstStep = first
    record.lastStep = step
    record.steps = max(steps, step >= first ? step - first &+ 1 : 0)
    return record
  }
}
