import Checkpoints
import JobStore
import POSIX
import Supervision
import TrainerProtocol

// The durable checkpoints: listed, read, kept, and removed when newer ones are there.
extension Runtime {
  func recorded(_ order: Publisher.Order, _ record: CheckpointRecord, durable: Bool) {
    guard durable else {
      return send(.publishFailed(slot: order.slot, step: order.step))
    }
    records.append(record)
    verified.insert(record.name)
    recover("checkpoints", "checkpoints can be made durable again")
    tell(
      .published,
      "step \(Words.number(record.step)) is durable: \(record.name), \(Words.bytes(record.bytes)) in "
        + Words.duration(.nanoseconds(record.tookNs)), step: record.step)
    prune()
    keepSaved()
    send(.published(slot: order.slot, step: order.step, took: .nanoseconds(record.tookNs)))
  }

  /// Keeps the newest verified checkpoints; damaged ones are nobody's to delete.
  private func prune() {
    let plan = Retention.plan(
      records.map {
        let condition: Retention.Condition =
          $0.damage != nil ? .damaged : verified.contains($0.name) ? .verified : .unread
        return .init(name: $0.name, step: $0.step, condition: condition)
      }, keepLast: configuration.keptCheckpoints)
    if let oldest = plan.oldestKept { writer.setOldestKept(step: oldest) }
    for record in records where plan.remove.contains(record.name) { remove(record) }
    for record in records where plan.read.contains(record.name) && beingRead.insert(record.name).inserted {
      publisher.read(record) { [mailbox] fault in mailbox.post(.read(record, fault: fault)) }
    }
  }

  /// Out of the list first, then off the disk; on the writer's thread, not on the loop's.
  private func remove(_ record: CheckpointRecord) {
    records.removeAll { $0.name == record.name }
    verified.remove(record.name)
    writer.submit([.removeCheckpoint(record)]) { [checkpoints] durable in
      guard durable else { return }
      do {
        try checkpoints.remove(record.name)
      } catch {
        Console.warning("cannot remove the old checkpoint \(record.name): \(error)")
      }
    }
  }

  func wasRead(_ record: CheckpointRecord, fault: String?) {
    beingRead.remove(record.name)
    if let fault {
      tellDamaged(record.name, fault)
    } else {
      keepVerified([record.name])
    }
    prune()
  }

  /// Takes note that these were read in full and are whole.
  func keepVerified(_ names: some Sequence<String>) {
    for name in names where verified.insert(name).inserted {
      guard let index = records.firstIndex(where: { $0.name == name }) else { continue }
      records[index].damage = nil
      records[index].verifiedAtNs = Clock.wallNanoseconds
      writer.submit([.checkpoint(records[index])])
    }
  }

  func tellDamaged(_ name: String, _ what: String) {
    guard knownDamage.insert(name).inserted else { return }
    if let index = records.firstIndex(where: { $0.name == name }) {
      records[index].damage = what
      writer.submit([.checkpoint(records[index])])
    }
    verified.remove(name)
    let verify: Hint = "holdfast checkpoints verify \(job.job) \(name)"
    tell(
      .checkpointDamaged,
      "checkpoint \(name) is damaged (\(what)) and is skipped; it is kept as it is: \(verify)",
      isWarning: true)
  }
}
