import Checkpoints
import JobStore
import POSIX
import Reporting
import Supervision
import Supervisor
import SystemPackage
import TrainerProtocol
import Vocabulary

/// Everything that `status` shows, read in one go.
struct JobStatus {
  struct ResumeAt {
    /// nil: the beginning.
    var level: Level?
    var step: UInt64
    var replay: UInt64
    var seconds: Double?

    var levelWord: String { level?.rawValue ?? "beginning" }
  }

  struct StagedAt {
    var step: UInt64
    var bytes: UInt64
    var atNs: UInt64?
    var metrics: [String: Double] = [:]
  }

  var name: String
  var argument: Hint
  var directory: FilePath
  var job: JobRecord
  var state: JobState
  var isSupervised: Bool
  var live: LiveRecord?
  var attempts: AttemptSummary
  /// The sums over all of them.
  var totals: AttemptTotals
  /// As the store lists them, by step, oldest first.
  var checkpoints: [CheckpointRecord]
  /// At least the newest two, looked at on disk; newest first.
  var newestCheckpoints: [CheckpointRecord] = []
  /// The newest that is not damaged.
  var durable: CheckpointRecord?
  var newest: SnapshotRow?
  var metrics: [(name: String, value: Double)]
  var stepsPerSecond: Double?
  var staged: StagedAt?
  /// Step of the newest full snapshot.
  var fullSnapshotStep: UInt64?
  var events: [EventRecord]
  var snapshotCount: Int
  var storeBytes: UInt64
  var freeBytes: UInt64
  var nowNs: UInt64
  var stalls: Int { standing.stalls }
  var standing: Standing
  var deviation: Deviation?

  init(_ reader: JobReader) throws {
    ReaderMark.set(in: reader.directory)
    name = reader.name
    argument = reader.argument
    directory = reader.directory
    // Not as it was when it was opened: it may have finished since.
    job = try reader.store.job() ?? reader.job
    nowNs = Clock.wallNanoseconds
    isSupervised = try reader.isSupervised()
    live = try reader.store.live()
    attempts = try reader.store.attemptSummary()
    checkpoints = try reader.store.checkpoints()
    let recent = try reader.store.newestSnapshots(200)
    newest = recent.last
    metrics = Array(zip(try reader.store.metricNames(), recent.last?.metrics ?? []))
    // Of this attempt alone: a pause between attempts is no step.
    let current = recent.filter { $0.attempt == recent.last?.attempt }
    if current.count >= 2, let first = current.first, let last = current.last, last.timeNs > first.timeNs,
      last.step > first.step
    {
      stepsPerSecond = Double(last.step - first.step) * 1e9 / Double(last.timeNs - first.timeNs)
    }
    attempts.newest = attempts.newest?.brought(upTo: newest)
    totals = attempts.totals(newestStep: newest?.step, nowNs: isSupervised ? nowNs : nil)
    fullSnapshotStep = try reader.store.fullSnapshotStep()
    events = try reader.store.events.newest(5)
    snapshotCount = try reader.store.snapshotCount()
    storeBytes = UInt64(reader.store.usedBytes)
    freeBytes = UInt64((try? FileSystem.availableBytes(reader.directory)) ?? 0)
    deviation = try reader.store.deviation()
    standing = (try reader.store.document("standing") ?? Standing()).plausible
    state = Self.state(job, live, isSupervised: isSupervised, gaveUp: standing.gaveUp)
    var staged = Self.newestStaged(live, job)
    if let step = staged?.step, let row = try reader.store.snapshot(at: step) {
      if staged?.atNs == nil { staged?.atNs = row.timeNs }
      staged?.metrics = Dictionary(zip(metrics.map(\.name), row.metrics)) { first, _ in first }
    }
    self.staged = staged
    // There may be very many: no more are looked at than are shown.
    for record in checkpoints.reversed() where newestCheckpoints.count < 2 || durable == nil {
      newestCheckpoints.append(reader.examined(record))
      durable = newestCheckpoints.first { $0.damage == nil }
    }
  }

  private static func state(_ job: JobRecord, _ live: LiveRecord?, isSupervised: Bool, gaveUp: Bool)
    -> JobState
  {
    if job.finishedAtNs != nil { return .finished }
    guard let live else { return .new }
    guard isSupervised else {
      if gaveUp { return .gaveUp }
      switch live.state.word {
      case .stopped: return .stopped
      case .failed: return .failed
      default: return .interrupted
      }
    }
    switch live.state.word {
    case .running: return .running
    case .saving: return .saving
    case .terminating, .settling: return .stopping
    case .backingOff: return .backingOff
    default: return .starting
    }
  }

  /// The arena itself knows best: it outlives every process of the job.
  private static func newestStaged(_ live: LiveRecord?, _ job: JobRecord) -> StagedAt? {
    guard let live else { return nil }
    let images = (0..<UInt32(2)).compactMap {
      StagedImage.read(ArenaSlot.path(in: FilePath(live.runDirectory), slot: $0))
    }
    guard
      let image = images.filter({ image in
        // A slot that is damaged says anything.
        image.description.jobID == job.id
          && (try? ImageReader.loop(image.bytes))?.step == image.description.step
      }).max(by: {
        $0.description.step < $1.description.step
      })
    else { return nil }
    let step = image.description.step
    return StagedAt(
      step: step, bytes: UInt64(image.bytes.count), atNs: live.staged?.step == step ? live.staged?.atNs : nil)
  }

  /// What the loss of a process, or of power, would cost.
  func resume(afterPowerLoss: Bool) -> ResumeAt {
    var points: [ResumePoint] = []
    if let durable { points.append(.checkpoint(level: .durable, step: durable.step)) }
    // In the store, so durable with the commit after its step.
    if let fullSnapshotStep { points.append(.checkpoint(level: .snapshot, step: fullSnapshotStep)) }
    if !afterPowerLoss, let staged { points.append(.checkpoint(level: .staged, step: staged.step)) }
    let best = ResumeChoice.best(
      of: points.map { ResumeCandidate($0, .unread) },
      deaths: standing.countedDeaths)
    let point = best.map { points[$0] } ?? .beginning
    let recorded = newest?.step ?? 0
    let replay = recorded > point.step ? recorded - point.step : 0
    return ResumeAt(
      level: point.level, step: point.step, replay: replay,
      seconds: stepsPerSecond.map { Double(replay) / $0 })
  }

  var timeSpent: TimeSpent {
    attempts.timeSpent(newestStep: newest?.step, nowNs: isSupervised ? nowNs : nil)
  }

  var degraded: [String] {
    guard isSupervised, let live else { return [] }
    // Who may not look into the run directory has what the store says.
    return LiveRecord.degraded(in: FilePath(live.runDirectory)) ?? live.degraded
  }

  /// Why attempts fail again and again, as far as that is known.
  var failing: String? {
    guard state != .finished else { return nil }
    if let completed = standing.completedStep, standing.stalls > 0 || standing.gaveUp {
      return "the training is complete at step \(Words.number(completed)); what comes after it fails"
    }
    guard let tally = standing.failureTally, tally.count >= Standing.FailureTally.longest else { return nil }
    return "\(Note.words(tally)), and none made a step past \(Words.number(tally.furthest))"
  }

  var maxStalls: Int { max(0, live?.maxStalls ?? 5) }

  /// Attempts without progress that are left.
  var restartBudget: Int { maxStalls - min(maxStalls, stalls) }

  /// For `--check`.
  var checkStatus: ExitStatus {
    switch state {
    case .gaveUp: .gaveUp
    case .stopped, .interrupted, .failed, .new: .checkStopped
    default: degraded.isEmpty ? .success : .checkDegraded
    }
  }
}

extension AttemptRecord {
  /// With the steps that were recorded since it was written: of an attempt that runs, the rows know more.
  func brought(upTo newest: SnapshotRow?) -> AttemptRecord {
    guard running, let newest, newest.attempt == attempt else { return self }
    var record = self
    let first = firstStep ?? (resumedFrom?.step ?? 0) &+ 1
    record.firstStep = first
    record.lastStep = newest.step
    record.steps = max(steps, newest.step >= first ? newest.step - first &+ 1 : 0)
    return record
  }
}
