import Checkpoints
import JobStore
import POSIX
import Reporting
import Supervision
import Supervisor
import SystemPackage
import TrainerProtocol
import Vocabulary

/// Everything that `status` shows.
struct JobStatus {
  struct ResumeAt {
    /// nil: the beginning.
    var level: Level?
    var step: UInt64
    var replay: UInt64
    var seconds: Double?
    /// The trainer's own file with which it resumes.
    var adopted: AdoptedFile?

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
  /// Sums over all attempts.
  var totals: AttemptTotals
  /// From the store, by step, oldest first.
  var checkpoints: [CheckpointRecord]
  /// At the remote storage. Older versions did not record them.
  var remoteCopies: [RemoteCopy]?
  /// When checkpoints are saved and which are kept.
  var policies: StoredPolicies
  /// Of the whole state: at least the newest two, with their files checked; newest first.
  var newestCheckpoints: [CheckpointRecord] = []
  /// The newest of the whole state that is not damaged.
  var durable: CheckpointRecord?
  var newest: SnapshotRow?
  var metrics: [(name: String, value: Double)]
  var pace: StepPace
  var stepsPerSecond: Double? { pace.stepsPerSecond }
  var staged: StagedAt?
  /// Step of the newest full snapshot.
  var fullSnapshotStep: UInt64?
  var events: [EventRecord]
  var snapshotCount: Int
  var storeBytes: UInt64
  var freeBytes: UInt64
  /// Of the checkpoints' disk, if it is another one.
  var checkpointFreeBytes: UInt64?
  /// None of the listed checkpoints is in its place.
  var isWithoutCheckpoints: Bool
  var nowNs: UInt64
  var stalls: Int { standing.stalls }
  var standing: Standing
  var deviation: Deviation?

  init(_ reader: JobReader) throws {
    ReaderMark.set(in: reader.directory)
    name = reader.name
    argument = reader.argument
    directory = reader.directory
    // Read again, as it may have finished since it was opened.
    job = try reader.store.job() ?? reader.job
    nowNs = Clock.wallNanoseconds
    isSupervised = try reader.isSupervised()
    live = try reader.store.live()
    attempts = try reader.store.attemptSummary()
    checkpoints = try reader.store.checkpoints()
    remoteCopies = try reader.store.document(RemoteCopy.document)
    policies = try reader.store.document(StoredPolicies.document) ?? StoredPolicies(Policy())
    let recent = try reader.store.newestSnapshots(200)
    newest = recent.last
    metrics = Array(zip(try reader.store.metricNames(), recent.last?.metrics ?? []))
    attempts.newest = attempts.newest?.updated(to: newest)
    totals = attempts.totals(newestStep: newest?.step, nowNs: isSupervised ? nowNs : nil)
    fullSnapshotStep = try reader.store.fullSnapshotStep()
    events = try reader.store.events.newest(5)
    snapshotCount = try reader.store.snapshotCount()
    storeBytes = UInt64(reader.store.usedBytes)
    freeBytes = UInt64((try? FileSystem.availableBytes(reader.directory)) ?? 0)
    let place = reader.checkpoints.directory
    isWithoutCheckpoints = reader.isWithout(checkpoints)
    if let disk = try? FileSystem.identity(ofFilesystem: place),
      disk != (try? FileSystem.identity(ofFilesystem: reader.directory))
    {
      checkpointFreeBytes = (try? FileSystem.availableBytes(place)).map { UInt64($0) }
    }
    deviation = try reader.store.deviation()
    standing = (try reader.store.document("standing") ?? Standing()).plausible
    state = Self.state(job, live, isSupervised: isSupervised, gaveUp: standing.gaveUp)
    pace = StepPace(
      recent.map { StepPace.Step(number: $0.step, attempt: $0.attempt, timeNs: $0.timeNs) },
      runningSince: Self.isStepExpected(state, job, newest, attempts.newest)
        ? attempts.newest?.startedAtNs : nil,
      nowNs: nowNs)
    var staged = Self.newestStaged(live, job, reader.directory)
    if let step = staged?.step, let row = try reader.store.snapshot(at: step) {
      if staged?.atNs == nil { staged?.atNs = row.timeNs }
      staged?.metrics = Dictionary(zip(metrics.map(\.name), row.metrics)) { first, _ in first }
    }
    self.staged = staged
    // There may be very many; only those that are shown are checked.
    for record in checkpoints.reversed()
    where record.isWhole && (newestCheckpoints.count < 2 || durable == nil) {
      let examined = reader.examined(record)
      newestCheckpoints.append(examined)
      if durable == nil, examined.damage == nil { durable = examined }
    }
    // Earlier versions stored all settings.
    if isAdopted { policies = policies.forCopies }
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

  /// Whether the running attempt made steps and is to make more.
  private static func isStepExpected(
    _ state: JobState, _ job: JobRecord, _ newest: SnapshotRow?, _ attempt: AttemptRecord?
  ) -> Bool {
    guard state == .running, let newest, let attempt else { return false }
    return newest.attempt == attempt.attempt && attempt.finishedStep == nil
      && newest.step < job.totalSteps ?? .max
  }

  /// Read from the arena, which outlives every process of the job.
  private static func newestStaged(_ live: LiveRecord?, _ job: JobRecord, _ state: FilePath) -> StagedAt? {
    guard let live else { return nil }
    let place = ArenaPlace(FilePath(live.runDirectory), state: state, boot: ProcessTable.bootID)
    let images = (0..<UInt32(2)).compactMap { place.image(slot: $0) }
    guard
      let image = images.filter({ image in
        // A damaged slot may contain anything.
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

  /// The trainer uses the protocol.
  private var hasProtocol: Bool { newest != nil || staged != nil }

  /// The job's checkpoints are copies of the trainer's own files, whose steps are not known.
  var isAdopted: Bool { !hasProtocol && checkpoints.last?.adopted != nil }

  /// Where a job would resume after the loss of a process or of power.
  func resume(afterPowerLoss: Bool) -> ResumeAt {
    var points: [ResumePoint] = []
    if let durable, durable.adopted != nil, !hasProtocol {
      return ResumeAt(level: .adopted, step: durable.step, replay: 0, adopted: durable.adopted)
    }
    if let durable { points.append(.checkpoint(level: .durable, step: durable.step)) }
    // It is durable with the commit after its step.
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
      seconds: pace.stepsPerSecondWithoutPause.map { Double(replay) / $0 })
  }

  var checkpointDirectory: FilePath {
    job.checkpointDirectory.map { FilePath($0) } ?? directory.appending("checkpoints")
  }

  /// Why each checkpoint is kept, by name.
  var kept: [String: [Retention.Kept]] { Retention.plan(listedCheckpoints, policies.policies).kept }

  var listedCheckpoints: [Retention.Listed] {
    checkpoints.map { $0.listed($0.damage == nil ? .verified : .damaged) }
  }

  /// The best checkpoint by each policy that ranks them and has one with the metric.
  var bestCheckpoints: [(record: CheckpointRecord, policy: CheckpointPolicy, value: Double)] {
    Retention.best(listedCheckpoints, policies.policies).compactMap { policy, best in
      guard let first = best.first,
        let record = checkpoints.first(where: { $0.name == first.checkpoint.name })
      else { return nil }
      return (record, policy, first.score)
    }
  }

  /// The newest checkpoint of the whole state that the remote storage has. It may be gone here.
  var replicated: CheckpointRecord? {
    let copies = remoteCopies?.map(\.checkpoint) ?? checkpoints.filter { $0.replicatedAtNs != nil }
    return copies.filter(\.isWhole).max { $0.step < $1.step }
  }

  /// The newest with only weights that is not known to be damaged.
  var weights: CheckpointRecord? { checkpoints.last { !$0.isWhole && $0.damage == nil } }

  /// Where a job would resume after the loss of this machine.
  var resumeElsewhere: ResumeAt {
    if isAdopted {
      return ResumeAt(
        level: replicated == nil ? nil : .adopted, step: replicated?.step ?? 0, replay: 0,
        adopted: replicated?.adopted)
    }
    let recorded = newest?.step ?? 0
    let step = replicated?.step ?? 0
    let replay = recorded > step ? recorded - step : 0
    return ResumeAt(
      level: replicated == nil ? nil : .durable, step: step, replay: replay,
      seconds: pace.stepsPerSecondWithoutPause.map { Double(replay) / $0 })
  }

  var timeSpent: TimeSpent {
    attempts.timeSpent(newestStep: newest?.step, nowNs: isSupervised ? nowNs : nil)
  }

  var degraded: [String] {
    guard isSupervised, let live else { return [] }
    let reported = live.currentDegradations.map { degradation in
      // The supervisor's text does not have the time until now.
      degradation.kind == LiveRecord.Degradation.stall ? silence ?? degradation.text : degradation.text
    }
    return reported + (unrecorded.map { [$0] } ?? [])
  }

  /// The supervisor reports a trainer that makes no steps.
  var isStalled: Bool {
    isSupervised && live?.currentDegradations.contains { $0.kind == LiveRecord.Degradation.stall } ?? false
  }

  /// `no step for 49 s (usually 50 ms)`
  var silence: String? {
    guard let silence = pace.silence else { return nil }
    let usual =
      pace.usual.map { " (usually \($0 < 0.0005 ? "less than 1 ms" : Words.duration(seconds: $0)))" } ?? ""
    return "no step for \(Words.duration(seconds: silence))\(usual)"
  }

  /// The trainer made steps that the supervisor does not read: it is stopped, or its disk hangs.
  private var unrecorded: String? {
    guard let live, let silence = pace.silence, silence > StallWatch.shortest / .seconds(1),
      RingPositions(runDirectory: FilePath(live.runDirectory))?.hasUnread == true
    else { return nil }
    return
      "the trainer's steps of the last \(Words.duration(seconds: silence)) are not recorded: the supervisor "
      + "(pid \(live.pid)) is stopped, or its disk hangs"
  }

  /// nil: there was none, or the trainer's steps are not known.
  var shownStep: UInt64? { isAdopted ? nil : job.finishedStep ?? newest?.step }

  /// Why attempts fail repeatedly, if known.
  var failing: String? {
    guard state != .finished else { return nil }
    if let completed = standing.completedStep, standing.stalls > 0 || standing.gaveUp {
      return "the training is complete at step \(Words.number(completed)); what comes after it fails"
    }
    guard let tally = standing.failureTally, tally.count >= Standing.FailureTally.longest else { return nil }
    return "\(Note.words(tally)), and none made a step past \(Words.number(tally.furthest))"
  }

  var maxStalls: Int { max(0, live?.maxStalls ?? 5) }

  /// Remaining attempts without progress.
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
