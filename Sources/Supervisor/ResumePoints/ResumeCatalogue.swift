import Checkpoints
import JobStore
import POSIX
import Reporting
import Supervision
import SystemPackage
import TrainerProtocol
import Vocabulary

/// The resume points of the job: the list of durable checkpoints, the known condition of each point, and the chosen
/// one.
final class ResumeCatalogue {
  /// In the order in which they were written.
  private(set) var records: [CheckpointRecord] { didSet { revision &+= 1 } }
  /// Changes with `records`.
  private(set) var revision = UInt64(0)
  private(set) var choice: ResumeCandidates.Choice
  private var known = ResumeCandidates.Knowledge()
  /// Names of old checkpoints that are being read.
  private var beingRead: Set<String> = []
  /// Whether something else reads this checkpoint's files.
  var isInUse: (_ name: String) -> Bool = { _ in false }
  /// Reasons for the checkpoint of a step that is being published.
  private var marks: [UInt64: [String]] = [:]

  let candidates: ResumeCandidates
  private let checkpoints: LocalCheckpoints
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

  // MARK: Durable checkpoints

  /// Step of the newest checkpoint of the whole state that this supervisor has not found damaged; 0: there is none.
  var durableStep: UInt64 { newestStep(weightsOnly: false) }

  /// Step of the newest checkpoint with only weights that this supervisor has not found damaged; 0: there is none.
  var weightsStep: UInt64 { newestStep(weightsOnly: true) }

  private func newestStep(weightsOnly: Bool) -> UInt64 {
    usable.filter { $0.isWhole != weightsOnly && !known.damaged.contains($0.source.identity) }
      .map(\.step).max() ?? 0
  }

  /// Those that an attempt of this job could start from. Numbers of adopted ones are not steps.
  private var usable: [CheckpointRecord] {
    let own = records.filter { $0.adopted == nil }
    return own.isEmpty && candidates.adopts ? records : own
  }

  /// Copies of the trainer's own files, damaged or not, the newest last.
  var adopted: [CheckpointRecord] { records.filter { $0.adopted != nil }.sorted { $0.step < $1.step } }

  /// Those that no supervisor has recorded as damaged.
  var undamaged: [CheckpointRecord] { records.filter { $0.damage == nil } }

  /// Those of the whole state.
  var resumable: [CheckpointRecord] { undamaged.filter(\.isWhole) }

  /// When the newest of the whole state was written, CLOCK_REALTIME; nil: there is none.
  var newestDurableAtNs: UInt64? { resumable.map(\.createdAtNs).max() }

  /// The chosen point as an attempt's record has it; nil: the beginning.
  var resumedFrom: AttemptRecord.Resume? {
    choice.point.level.map { .init(level: Stored($0), step: choice.point.step) }
  }

  // MARK: The choice

  func choose(deaths: [RestoreDeaths]) {
    choice = candidates.choose(store: store, records: records, known, deaths: deaths)
    logDamage()
  }

  /// Logs once each candidate that the choice found to be damaged.
  func logDamage() {
    for (source, what) in choice.damaged { markDamaged(source, what) }
    for path in choice.unreadable where known.damaged.insert(path.string).inserted {
      events.log(
        .checkpointDamaged, "the header of \(path) is damaged, and its image is not used", isWarning: true)
    }
  }

  /// Called when the chosen one was read, or cannot be.
  func endReading() { choice.isUnread = false }

  // MARK: Condition

  /// Called when a checkpoint was published.
  func add(_ record: CheckpointRecord) {
    records.append(record)
    known.whole.insert(record.source.identity)
    if let words = marks.removeValue(forKey: record.step) { mark(step: record.step, words) }
  }

  /// The newest adopted checkpoint has the same bytes as this file.
  func setSource(_ file: AdoptedFile) {
    guard let newest = adopted.last(where: { $0.damage == nil }) else { return }
    update(newest.name) { $0.adopted = file }
  }

  /// Called when the remote storage has all of it, or no longer has it.
  /// - Parameter time: CLOCK_REALTIME; nil: it is not there.
  func markReplicated(_ record: CheckpointRecord, at time: UInt64?) {
    guard records.contains(where: { $0.name == record.name && $0.cut == record.cut }) else { return }
    update(record.name) { $0.replicatedAtNs = time }
  }

  /// Records further reasons for which the checkpoint of a step was saved.
  func mark(step: UInt64, _ words: [String]) {
    let marked = records.filter { $0.step == step && $0.damage == nil }
    if marked.isEmpty { marks = [step: words] }
    for record in marked {
      let all = Set(record.savedFor ?? []).union(words).sorted()
      if all != record.savedFor { update(record.name) { $0.savedFor = all } }
    }
  }

  /// - Returns: whether a checkpoint of that step has new metrics.
  @discardableResult
  func add(metrics: [String: Double], toStep step: UInt64) -> Bool {
    var isNew = false
    for record in records where record.step == step {
      let all = record.metrics.merging(metrics) { $1 }
      // NaN is not equal to itself.
      guard all.mapValues(\.bitPattern) != record.metrics.mapValues(\.bitPattern) else { continue }
      isNew = true
      update(record.name) { $0.metrics = all }
    }
    return isNew
  }

  /// Called when an old checkpoint was read in full.
  func readCompleted(_ record: CheckpointRecord, fault: String?) {
    beingRead.remove(record.name)
    if let fault { markDamaged(record.source, fault) } else { markWhole(record.source) }
  }

  /// Records that `source` was read in full and is whole.
  func markWhole(_ source: ResumeCandidates.Source) {
    // Not for the arena, memory that a faulty trainer may have mapped: it is read each time.
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
    // With the directory: correct for any job and in any environment.
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

  // MARK: Retention

  /// Removes checkpoints that newer ones supersede. Damaged ones are never removed.
  /// - Returns: those that must be read in full before they can be removed.
  func prune(_ policies: [CheckpointPolicy]) -> [CheckpointRecord] {
    let plan = Retention.plan(records.map { $0.listed(condition(of: $0)) }, policies)
    if let oldest = plan.oldestKept { writer.setOldestKept(step: oldest) }
    for record in records where plan.remove.contains(record.name) && !isInUse(record.name) { remove(record) }
    return records.filter { plan.read.contains($0.name) && beingRead.insert($0.name).inserted }
  }

  private func condition(of record: CheckpointRecord) -> Retention.Condition {
    if record.damage != nil { return .damaged }
    return known.whole.contains(record.source.identity) ? .verified : .unread
  }

  /// Removed from the list first, then from the disk, on the writer's thread.
  private func remove(_ record: CheckpointRecord) {
    records.removeAll { $0.name == record.name }
    known.whole.remove(record.source.identity)
    writer.submit([.removeCheckpoint(record)]) { [checkpoints] durable in
      guard durable else { return }
      do throws(CheckpointError) {
        try checkpoints.remove(record.name)
      } catch {
        // Somebody else did it.
        if error.code == .missing { return }
        Console.warning("cannot remove the old checkpoint \(record.name): \(error)")
      }
    }
  }
}

extension CheckpointRecord {
  fileprivate var source: ResumeCandidates.Source { .durable(self) }
}
