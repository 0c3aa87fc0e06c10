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
  let runDirectory: RunDirectory
  let boot = ProcessTable.bootID
  /// Of this process.
  let startTime = ProcessTable.startTime(of: getpid()) ?? 0
  private let loop: EventLoop
  let timers: Timers
  private let signals: SignalSource
  let mailbox: Mailbox<Report>

  let store: JobStore
  let writer: StoreWriter
  let publisher: Publisher
  let service: ServiceLink
  var preemption: PreemptionWatch?
  var metrics: MetricsMemory?

  /// The core's.
  var state: State
  var job: JobRecord
  let mark: JobMark
  let catalogue: ResumeCatalogue
  /// The resume point that is being read.
  var reading: ResumePointReading?
  let attempt: AttemptRecorder
  let command: TrainerCommand
  let processes: TrainerProcesses
  let link: TrainerLink
  let stacks: HangStacks
  let events: EventLog
  let degradations: Degradations
  /// The newest image in the arena.
  var staged: LiveRecord.Staged?

  /// Which signal asked for the stop.
  var stopSignal = SIGTERM
  var ending: Ending?
  /// Why it ends badly, where the kernel said it.
  var fatalErrno: Int32?
  private var queue: [Event] = []
  private var isHandling = false

  init(
    _ recovered: Recovery.Result, _ configuration: Configuration, _ stateDirectory: OpenFile,
    _ runDirectory: RunDirectory, signals: SignalSource, service: ServiceLink
  ) throws(POSIXError) {
    self.configuration = configuration
    self.service = service
    self.signals = signals
    self.stateDirectory = stateDirectory
    self.runDirectory = runDirectory
    directories = recovered.directories
    store = recovered.store
    writer = recovered.writer
    mailbox = recovered.mailbox
    job = recovered.job
    mark = recovered.mark
    attempt = AttemptRecorder(
      writer, metricNames: recovered.metricNames, furthestStep: recovered.lastRecordedStep,
      deviation: recovered.deviation)
    events = EventLog(writer, attempt)
    degradations = Degradations(events, runDirectory)
    catalogue = ResumeCatalogue(recovered, events)
    command = TrainerCommand(configuration, directories, mark)
    // The whole cgroup is looked at before it is divided.
    let sharedCgroup = Cgroup.own
    processes = TrainerProcesses(
      ProcessTree(cgroup: Cgroup.split(own: "supervisor", children: "trainer")), sharedCgroup: sharedCgroup,
      TrainerCensus(runDirectory, mark, degradations), degradations)
    link = TrainerLink()
    stacks = HangStacks(runDirectory, job.id)
    let candidates = recovered.candidates
    publisher = Publisher(directories.checkpoints, below: stateDirectory, candidates.digests) {
      candidates.image($0)
    }
    state = State(
      policy: configuration.policy, standing: recovered.standing, durableStep: catalogue.durableStep,
      now: Self.now)
    loop = try EventLoop()
    timers = try Timers()
    degradations.changed = { [unowned self] in writeLive() }
  }

  static var now: Moment {
    Moment(monotonic: .nanoseconds(Clock.bootNanoseconds), wall: .nanoseconds(Clock.wallNanoseconds))
  }

  // MARK: The loop

  func run() throws(POSIXError) -> Ending {
    try ProcessTable.becomeSubreaper()
    try loop.add(signals.descriptor) { [unowned self] in handleSignals() }
    try loop.add(timers.descriptor) { [unowned self] in handleTimers() }
    try loop.add(mailbox.descriptor) { [unowned self] in handleReports() }
    listen()
    exportMetrics()
    watchPlaces()
    send(.begin(Remains(resume: catalogue.choice.point, progress: nil, slots: catalogue.choice.slots)))
    // No wake-up is relied on: one that is lost costs a second.
    try loop.run(checkingEvery: .seconds(1)) {
      handleReports()
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

  private func handleReports() { for report in mailbox.take() { handle(report) } }

  private func handleSignals() {
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

  private func handleTimers() {
    let due = require { () throws(POSIXError) in try timers.takeDue(now: Self.now.monotonic) } ?? []
    for name in due {
      switch name {
      case .core(let kind): send(.timer(kind))
      case .clearing: clear()
      case .beat: beat()
      case .metrics: publishMetrics()
      case .reading: showReading()
      case .places: lookAtRunDirectory()
      case .census: lookAtProcesses()
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
    queue.append(event)
    guard !isHandling else { return }
    isHandling = true
    defer { isHandling = false }
    while !queue.isEmpty {
      let before = (phase: state.phase, isStopping: state.stop != nil)
      let (next, actions) = transition(state, queue.removeFirst(), at: Self.now)
      state = next
      if !before.isStopping { notifyServiceOfStop() }
      for action in actions { perform(action) }
      if state.phase != before.phase, state.phase != .starting { writeLive() }
      notifyService(since: before.phase, wasStopping: before.isStopping)
    }
  }

  private func perform(_ action: Action) {
    switch action {
    case .start(let number, let from, let skips): start(number, from: from, skips: skips)
    case .request(let kind, let sequence, let slot, let deadline):
      request(kind, sequence: sequence, slot: slot, deadline: deadline)
    case .offer(let slot): link.offer(slot: slot)
    case .publish(let slot, let step): publish(slot: slot, step: step)
    case .cancelPublishing: publisher.cancel()
    case .signal(.stacks): stacks.request()
    case .signal(.terminate): processes.terminate()
    case .signal(.kill): processes.kill()
    case .clear:
      processes.beginClearing(now: Self.now.monotonic)
      clear()
    case .arm(let kind, let deadline): arm(.core(kind), at: deadline)
    case .disarm(let kind): _ = require { () throws(POSIXError) in try timers.disarm(.core(kind)) }
    case .note(let note): log(note)
    case .keepStanding: writer.submit([.document("standing", state.standing)])
    case .acknowledge(let notice): acknowledge(notice)
    case .leave(let ending): leave(ending)
    }
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
      let doubt = attempt.deviation.map { "; it is not the undisturbed run \($0.words)" } ?? ""
      events.log(
        .finished, "job \(job.job) finished at step \(step)\(doubt)", isWarning: attempt.deviation != nil)
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
    link.close()
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
