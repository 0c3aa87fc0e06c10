import Checkpoints
import Glibc
import JobStore
import Metrics
import POSIX
import Preemption
import Supervision
import SystemPackage
import TrainerProtocol

/// The imperative shell: turns what the kernel and other threads say into the core's events, and
/// carries out the core's actions. Everything here is on the main thread, which also spawns the
/// trainer: the parent-death signal follows the spawning thread, and this one ends with the process.
final class Runtime {
  enum Report: Sendable {
    case store(StoreReport)
    case detached
    case publisher(Publisher.Result)
    /// The checkpoint is in the store; or not, when the commit failed.
    case recorded(Publisher.Order, CheckpointRecord, durable: Bool)
    /// What the attempt starts from was read in full; `fault` says what is wrong with it.
    case pointRead(ResumeCandidates.Source, fault: String?)
    /// An old checkpoint was read in full; `fault` says what is wrong with it.
    case read(CheckpointRecord, fault: String?)
    case preemption(NoticeReport)
    case metrics(MetricsReport)
    /// The state directory is not in its place, in words; nil: it is back.
    case statePlace(String?)
    /// The counters that metrics have are in the store, or cannot be.
    case metricsKept
  }

  let configuration: Configuration
  let directories: JobDirectory
  /// As it was opened at the start.
  let stateDirectory: OpenFile
  var stateWatch: StateWatch?
  var runDirectory: RunDirectory
  let store: JobStore
  let writer: StoreWriter
  let checkpoints: any CheckpointStorage
  let candidates: ResumeCandidates
  let publisher: Publisher
  let mailbox: Mailbox<Report>
  let tree: ProcessTree
  /// That of the supervisor when it began, which has the trainer in it too.
  let sharedCgroup: Cgroup?
  var outOfMemory: OutOfMemoryWatch?
  let boot = ProcessTable.bootID
  /// Of this process.
  let startTime = ProcessTable.startTime(of: getpid()) ?? 0
  private let loop: EventLoop
  let timers: Timers
  private let signals: SignalSource

  var state: State
  var job: JobRecord
  let mark: JobMark
  /// Which processes are the attempt's, as it is written down beside the ring.
  var trainerRecord: TrainerRecord?
  var censusPause = Duration.zero
  var choice: ResumeCandidates.Choice
  /// The resume point that is being read.
  var reading: ResumePointReading?
  /// The trainer that runs was told, or is to be told, of another resume point than it began with.
  var pointIsReplaced = false
  /// Cut that the open request asked for.
  var requestedCut: CutID?
  var records: [CheckpointRecord]
  /// Durable checkpoints that this supervisor wrote, or read in full: they are not read again.
  var verified: Set<String> = []
  /// Identities of what could have been resumed from and is damaged.
  var damagedSources: Set<String> = []
  /// Those that are being read now.
  var beingRead: Set<String> = []
  var lastRecordedStep: UInt64?
  var metricNames: [String]

  var child: ChildProcess?
  var ring: RingReader?
  var attempt: AttemptRecord
  var replayIsTold = false
  /// Where the run ceased to be the undisturbed one.
  var deviation: Deviation?
  var newestPosition: BatchPosition?
  var knownDamage: Set<String> = []
  var toldSkipped: UInt64 = 0
  /// Fields of this attempt's records that were spoken of.
  var unusableFields: Set<String> = []
  var heartbeat: UInt64 = 0
  var stacksOffer: StacksOffer?
  var hang: Hang?
  var clearingPause = Duration.milliseconds(1)
  var clearingSince = Duration.zero
  var staged: LiveRecord.Staged?
  var degraded: [String: String] = [:]
  /// Which signal asked for the stop.
  var stopSignal = SIGTERM
  var ending: Ending?
  /// Why it ends badly, where the kernel said it.
  var fatalErrno: Int32?
  let service: ServiceLink
  var reported = ServiceFacts()
  var preemption: PreemptionWatch?
  var metrics: MetricsMemory?

  private var events: [Event] = []
  private var isHandling = false

  init(
    _ recovered: Recovery.Result, _ configuration: Configuration, _ stateDirectory: OpenFile,
    _ runDirectory: RunDirectory, signals: SignalSource, service: ServiceLink
  ) throws(POSIXError) {
    self.configuration = configuration
    self.service = service
    self.signals = signals
    directories = recovered.directories
    store = recovered.store
    writer = recovered.writer
    mailbox = recovered.mailbox
    checkpoints = recovered.checkpoints
    candidates = recovered.candidates
    job = recovered.job
    mark = recovered.mark
    choice = recovered.choice
    records = recovered.records
    lastRecordedStep = recovered.lastRecordedStep
    metricNames = recovered.metricNames
    deviation = recovered.deviation
    let candidates = recovered.candidates
    self.stateDirectory = stateDirectory
    self.runDirectory = runDirectory
    publisher = Publisher(directories.checkpoints, below: stateDirectory, candidates.digests) {
      candidates.image($0)
    }
    sharedCgroup = Cgroup.own
    tree = ProcessTree(cgroup: Cgroup.divide(own: "supervisor", children: "trainer"))
    attempt = AttemptRecord(attempt: 0, generation: 0, boot: "", startedAtNs: 0, resumedFrom: nil)
    let damaged = Set(recovered.choice.damaged.map(\.source.identity))
    let durableStep = Self.durableStep(recovered.records, damaged)
    state = State(
      policy: configuration.policy, standing: recovered.standing, durableStep: durableStep, now: Self.now)
    loop = try EventLoop()
    timers = try Timers()
  }

  static var now: Moment {
    Moment(monotonic: .nanoseconds(Clock.bootNanoseconds), wall: .nanoseconds(Clock.wallNanoseconds))
  }

  // MARK: The loop

  func run() throws(POSIXError) -> Ending {
    try ProcessTable.becomeSubreaper()
    try loop.add(signals.descriptor) { [unowned self] in takeSignals() }
    try loop.add(timers.descriptor) { [unowned self] in takeTimers() }
    try loop.add(mailbox.descriptor) { [unowned self] in takeReports() }
    listen()
    exportMetrics()
    watchPlaces()
    send(.begin(Remains(resume: choice.point, progress: nil, slots: choice.slots)))
    // No wake-up is relied on: one that is lost costs a second.
    try loop.run(lookingEvery: .seconds(1)) {
      takeReports()
      ChildProcess.reapOrphans()
    }
    return ending ?? .stopped
  }

  func watch(_ child: ChildProcess) throws(POSIXError) {
    try loop.add(child.descriptor) { [unowned self] in childExited() }
  }

  func unwatch(_ child: ChildProcess) {
    // Closing the descriptor removes it too; this only makes sure of the order.
    try? loop.remove(child.descriptor)
  }

  private func takeReports() { for report in mailbox.take() { take(report) } }

  private func takeSignals() {
    while let signal = signals.next() {
      switch signal {
      case SIGTERM, SIGINT, SIGXCPU: stop(by: signal)
      case SIGCHLD: ChildProcess.reapOrphans()
      case SIGUSR1: send(.checkpointRequested)
      default: reload()
      }
    }
  }

  func stop(by signal: Int32) {
    if state.stop == nil { stopSignal = signal }
    send(.stopRequested)
  }

  private func takeTimers() {
    let due = require { () throws(POSIXError) in try timers.takeDue(now: Self.now.monotonic) } ?? []
    for name in due {
      switch name {
      case .core(let kind): send(.timer(kind))
      case .clearing: clear()
      case .beat: beat()
      case .metrics: tellMetrics()
      case .reading: tellReading()
      case .places: lookAtRunDirectory()
      case .census: keepCensus()
      }
    }
  }

  func arm(_ name: Timers.Name, at deadline: Duration) {
    _ = require { () throws(POSIXError) in try timers.arm(name, at: deadline) }
  }

  /// The kernel refuses what it cannot refuse a correct program: say so and leave. The trainer dies
  /// with us, and a new supervisor goes on from what is staged.
  private func require<Value>(_ body: () throws(POSIXError) -> Value) -> Value? {
    do {
      return try body()
    } catch {
      Console.warning("internal error: \(error)", .internalError)
      fatalErrno = error.errno.rawValue
      ending = ending ?? .internalError
      loop.stop()
      return nil
    }
  }

  // MARK: The core

  /// Hands an event to the core and carries out what it decides. Actions may bring new events; they
  /// wait for their turn.
  func send(_ event: Event) {
    events.append(event)
    guard !isHandling else { return }
    isHandling = true
    defer { isHandling = false }
    while !events.isEmpty {
      let before = (phase: state.phase, isStopping: state.stop != nil)
      let (next, actions) = transition(state, events.removeFirst(), at: Self.now)
      state = next
      if !before.isStopping { tellServiceOfStop() }
      for action in actions { perform(action) }
      if state.phase != before.phase, state.phase != .starting { keepLive() }
      tellService(since: before.phase, wasStopping: before.isStopping)
    }
  }

  private func perform(_ action: Action) {
    switch action {
    case .start(let number, let from, let skips): start(number, from: from, skips: skips)
    case .request(let kind, let sequence, let slot, let deadline):
      request(kind, sequence: sequence, slot: slot, deadline: deadline)
    case .offer(let slot): ring?.offer(slot: slot.map(UInt32.init))
    case .publish(let slot, let step): publish(slot: slot, step: step)
    case .cancelPublishing: publisher.cancel()
    case .signal(.stacks): askForStacks()
    case .signal(.terminate): try? child?.signal(SIGTERM)
    case .signal(.kill):
      try? child?.signal(SIGKILL)
      child?.signalGroup(SIGKILL)
    case .clear:
      clearingPause = .milliseconds(1)
      clearingSince = Self.now.monotonic
      clear()
    case .arm(let kind, let deadline): arm(.core(kind), at: deadline)
    case .disarm(let kind): _ = require { () throws(POSIXError) in try timers.disarm(.core(kind)) }
    case .note(let note): tell(note)
    case .keepStanding: writer.submit([.document("standing", state.standing)])
    case .acknowledge(let notice): acknowledge(notice)
    case .leave(let ending): leave(ending)
    }
  }

  private func request(_ kind: RequestKind, sequence: UInt64, slot: Int, deadline: Duration?) {
    // The core counts in time since boot; requests carry CLOCK_MONOTONIC, which every language reads.
    let remaining = deadline.map { max(.zero, $0 - Self.now.monotonic) }
    let wait = remaining.map { UInt64($0 / .nanoseconds(1)) + Clock.monotonicNanoseconds } ?? 0
    let word: Request.Kind =
      switch kind {
      case .save: .save
      case .saveAndLeave: .saveAndLeave
      case .cancel: .cancel
      }
    let cut = CutID()
    requestedCut = cut
    ring?.post(
      Request(
        sequence: sequence, kind: word, slot: UInt32(slot), cutID: cut,
        generation: state.standing.attempt, deadlineNanoseconds: wait))
    if kind != .cancel { writer.expectAnswer() }
  }

  private func publish(slot: Int, step: UInt64) {
    let order = Publisher.Order(slot: slot, step: step, job: job) { [store, writer, metricNames] in
      // The step may be one of the last of a trainer that has ended, and not written yet.
      writer.submitAndWait([], patience: .seconds(5))
      // A row that cannot be read costs the manifest its metrics, and nothing else.
      let values = (try? store.snapshot(at: step))?.metrics ?? []
      return Dictionary(zip(metricNames, values)) { first, _ in first }
    }
    publisher.publish(order) { [mailbox] result in mailbox.post(.publisher(result)) }
  }

  private func leave(_ ending: Ending) {
    // A program without checkpoints has no final state, and its store is gone all the same.
    let isLost = ending == .finished && stateDirectory.displacement != nil
    let ending = isLost ? .finalStateNotDurable : ending
    self.ending = ending
    stateWatch?.stop()
    preemption?.stop()
    endMetrics()
    if ending == .finished {
      job.finishedAtNs = Clock.wallNanoseconds
      job.finishedStep = state.resume.step
      let step = Words.number(state.resume.step)
      let doubt = deviation.map { "; it is not the undisturbed run \($0.words)" } ?? ""
      tell(.finished, "job \(job.job) finished at step \(step)\(doubt)", isWarning: deviation != nil)
    }
    let last: [StoreOperation] = [.job(job), .live(live(stateName: Self.name(ending)))]
    if state.stop == nil {
      _ = writer.submitAndWait(last)
      writer.stop()
    } else if writer.submitAndWait(last, patience: .seconds(2)) {
      writer.stop()
    } else {
      // Whoever asked us to go does not wait for a disk that stalls.
      Console.warning("the store did not take the last record in time")
    }
    if ending == .finished { clearRunDirectory() }
    loop.stop()
  }

  /// Gives the memory of a finished job back.
  private func clearRunDirectory() {
    ring = nil
    for name in (try? FileSystem.list(directories.run)) ?? [] where name != JobLock.name {
      do {
        try FileSystem.removeTree(directories.run.appending(name))
      } catch {
        Console.warning("cannot clear the run directory: \(error)")
      }
    }
  }

  static func name(_ ending: Ending) -> String {
    switch ending {
    case .finished: "finished"
    case .stopped: "stopped"
    case .gaveUp: "gave_up"
    case .commandNotFound, .commandNotExecutable, .cannotStart, .finalStateNotDurable, .internalError:
      "failed"
    }
  }
}
