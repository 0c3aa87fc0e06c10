import Checkpoints
import JobStore
import POSIX
import Reporting
import Supervision
import TrainerProtocol
import Vocabulary

/// What attempts can start from: the list of durable checkpoints, what is known of the condition of every resume
/// point, and the one that was chosen.
final class ResumeCatalogue {
  /// By the order in which they were written.
  private(set) var records: [CheckpointRecord]
  private(set) var choice: ResumeCandidates.Choice
  private var known = ResumeCandidates.Knowledge()
  /// Names of old checkpoints that are being read.
  private var beingRead: Set<String> = []

  let candidates: ResumeCandidates
  private let checkpoints: any CheckpointStorage
  private let store: JobStore
  private let writer: StoreWriter
  private let events: EventLog

  init(_ recovered: Recovery.Result, _ events: EventLog) {
    records = recovered.records
    choice = recovered.choice
    candidates = recovered.candidates
    checkpoints = recovered.checkpoints
    store = recovered.store
    writer = recovered.writer
    self.events = events
  }

  // MARK: What there is

  /// Step of the newest durable checkpoint that this supervisor did not find damaged; 0: there is none.
  var durableStep: UInt64 {
    records.filter { !known.damaged.contains($0.source.identity) }.map(\.step).max() ?? 0
  }

  /// Those of which no supervisor ever said that they are damaged.
  var undamaged: [CheckpointRecord] { records.filter { $0.damage == nil } }

  /// When the newest was written, CLOCK_REALTIME; nil: there is none.
  var newestDurableAtNs: UInt64? { undamaged.map(\.createdAtNs).max() }

  /// What the chosen point is called in an attempt's record; nil: the beginning.
  var resumedFrom: AttemptRecord.Resume? { choice.file.map { .init(level: $0.level, step: $0.step) } }

  // MARK: The choice

  func choose(deaths: [RestoreDeaths]) {
    choice = candidates.choose(store: store, records: records, known, deaths: deaths)
    logDamage()
  }

  /// Logs once what the choice found to be damaged.
  func logDamage() {
    for (source, what) in choice.damaged { markDamaged(source, what) }
    for slot in choice.unreadable where known.damaged.insert("slot \(slot)").inserted {
      let path = ArenaSlot.path(in: candidates.directories.run, slot: slot)
      events.log(
        .checkpointDamaged, "the header of \(path) is damaged, and its image is not used", isWarning: true)
    }
  }

  /// The chosen one was read, or cannot be: nobody waits for it any more.
  func endReading() { choice.isUnread = false }

  // MARK: Their condition

  /// One was published.
  func add(_ record: CheckpointRecord) {
    records.append(record)
    known.whole.insert(record.source.identity)
  }

  /// An old one was read in full.
  func readCompleted(_ record: CheckpointRecord, fault: String?) {
    beingRead.remove(record.name)
    if let fault { markDamaged(record.source, fault) } else { markWhole(record.source) }
  }

  /// It was read in full, and is whole.
  func markWhole(_ source: ResumeCandidates.Source) {
    // The arena is memory that a faulty trainer may have mapped: it is read each time.
    guard case .durable(let record) = source, known.whole.insert(source.identity).inserted else { return }
    update(record.name) {
      $0.damage = nil
      $0.verifiedAtNs = Clock.wallNanoseconds
    }
  }

  func markDamaged(_ source: ResumeCandidates.Source, _ what: String) {
    guard known.damaged.insert(source.identity).inserted else { return }
    known.whole.remove(source.identity)
    guard case .durable(let record) = source else {
      return events.log(
        .checkpointDamaged, "\(source.point.words) is damaged (\(what)) and is not used",
        isWarning: true)
    }
    update(record.name) { $0.damage = what }
    // Right wherever the job lives, and whatever the reader's environment is.
    let verify: Hint =
      "holdfast checkpoints verify --state-dir \(candidates.directories.state) \(record.name)"
    events.log(
      .checkpointDamaged,
      "checkpoint \(record.name) is damaged (\(what)) and is skipped, not deleted; to verify it: \(verify)",
      isWarning: true)
  }

  private func update(_ name: String, _ change: (inout CheckpointRecord) -> Void) {
    guard let index = records.firstIndex(where: { $0.name == name }) else { return }
    change(&records[index])
    writer.submit([.checkpoint(records[index])])
  }

  // MARK: Old ones

  /// Removes those that newer ones make superfluous. Damaged ones are nobody's to delete.
  /// - Returns: those that must be read in full first.
  func prune(keepLast: Int) -> [CheckpointRecord] {
    let plan = Retention.plan(
      records.map { .init(name: $0.name, step: $0.step, condition: condition(of: $0)) }, keepLast: keepLast)
    if let oldest = plan.oldestKept { writer.setOldestKept(step: oldest) }
    for record in records where plan.remove.contains(record.name) { remove(record) }
    return records.filter { plan.read.contains($0.name) && beingRead.insert($0.name).inserted }
  }

  private func condition(of record: CheckpointRecord) -> Retention.Condition {
    if record.damage != nil { return .damaged }
    return known.whole.contains(record.source.identity) ? .verified : .unread
  }

  /// Out of the list first, then off the disk; on the writer's thread, not on the loop's.
  private func remove(_ record: CheckpointRecord) {
    records.removeAll { $0.name == record.name }
    known.whole.remove(record.source.identity)
    writer.submit([.removeCheckpoint(record)]) { [checkpoints] durable in
      guard durable else { return }
      do {
        try checkpoints.remove(record.name)
      } catch {
        Console.warning("cannot remove the old checkpoint \(record.name): \(error)")
      }
    }
  }
}

extension CheckpointRecord {
  fileprivate var source: ResumeCandidates.Source { .durable(self) }
}
