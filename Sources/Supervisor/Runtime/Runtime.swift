import Checkpoints
import Glibc
import JobStore
import Metrics
import POSIX
import Preemption
import Reporting
import Supervision
import SystemPackage
import TrainerProtocol
import Vocabulary

/// The imperative shell: the event loop, and the dispatch of events from the kernel, other threads and the core to the
/// owners of the state. All of it runs on the main thread, which also spawns the trainer: the parent-death signal is
/// sent when the spawning thread ends, and the main thread ends with the process.
final class Runtime {
  typealias Report = RuntimeReport

  private let configuration: Configuration
  /// As it was opened at the start.
  private let stateDirectory: OpenFile
  private let runDirectory: RunDirectory
  private let loop: EventLoop
  private let timers: Timers
  private let signals: SignalSource
  private let mailbox: Mailbox<Report>
  private let writer: StoreWriter
  private let publisher: Publisher

  let core: Core
  let attempt: AttemptRecorder
  let catalogue: ResumeCatalogue
  let degradations: Degradations
  private let job: JobRecorder
  private let processes: TrainerProcesses
  private let link: TrainerLink
  private let stacks: HangStacks
  private let events: EventLog
  private let live: LiveRecorder
  private let narrator: Narrator
  private let storeReports: StoreReports
  private let directoryWatch: DirectoryWatch
  private let verification: ResumePointVerification
  private let checkpoints: DurableCheckpoints
  private let metrics: MetricsReporter
  private let stalls: StallReporter
  private let preemption: PreemptionListener
  private let service: ServiceReporter
  private let serviceLink: ServiceLink
  private let attemptStart: AttemptStart
  private let attemptEnd: AttemptEnd
  private let ringReports: RingReports
  /// nil: there is no remote storage.
  private let replication: Replication?
  /// nil: the trainer's own files are not adopted.
  private let adoption: Adoption?
  /// Set while the last checkpoint is replicated before the exit.
  private var endsAfterReplication = false
  /// A notice that is acknowledged when the last checkpoint is replicated.
  private var unacknowledged: PreemptionNotice?

  private var ending: Ending?
  /// The system error that ends the supervisor.
  private var fatalErrno: Int32?

  init(
    _ recovered: Recovery.Result, _ configuration: Configuration,
    _ remote: (place: Remote, finding: RemoteStart.Finding)?,
    _ stateDirectory: OpenFile, _ runDirectory: RunDirectory, signals: SignalSource,
    service serviceLink: ServiceLink
  ) throws(POSIXError) {
    self.configuration = configuration
    self.serviceLink = serviceLink
    self.signals = signals
    self.stateDirectory = stateDirectory
    self.runDirectory = runDirectory
    loop = try EventLoop()
    timers = try Timers()
    let (store, directories, boot) = (recovered.store, recovered.directories, ProcessTable.bootID)
    writer = recovered.writer
    mailbox = recovered.mailbox
    attempt = AttemptRecorder(
      writer, metricNames: recovered.metricNames, furthestStep: recovered.lastRecordedStep,
      changedAt: recovered.job.hyperparameterChanges?.map(\.step).max(), deviation: recovered.deviation)
    job = JobRecorder(recovered.job, writer)
    events = EventLog(writer, attempt)
    degradations = Degradations(events, runDirectory)
    catalogue = ResumeCatalogue(recovered, events)
    core = Core(
      State(
        policy: configuration.policy, standing: recovered.standing, durableStep: catalogue.durableStep,
        weightsStep: catalogue.weightsStep, now: .now))
    let resume = AdoptedPath()
    let command = TrainerCommand(configuration, directories, recovered.mark, resume)
    // Determined before the cgroup is split.
    let sharedCgroup = Cgroup.own
    processes = TrainerProcesses(
      ProcessTree(cgroup: Cgroup.split(own: "supervisor", children: "trainer")), sharedCgroup: sharedCgroup,
      TrainerCensus(runDirectory, recovered.mark, degradations), degradations)
    link = TrainerLink()
    stacks = HangStacks(runDirectory, recovered.job.id)
    let candidates = recovered.candidates
    publisher = Publisher(
      directories.checkpoints, below: recovered.ownDirectory?.directory ?? stateDirectory, candidates.digests,
      restore: { try recovered.ownDirectory?.restoreIfRemoved() }, image: candidates.image)
    live = LiveRecorder(writer, core, processes, degradations, runDirectory, boot: boot)
    narrator = Narrator(core, attempt, stacks, events, degradations, runDirectory)
    storeReports = StoreReports(
      writer: writer, core: core, job: job, attempt: attempt, catalogue: catalogue, live: live,
      events: events, degradations: degradations)
    directoryWatch = DirectoryWatch(stateDirectory, runDirectory, processes, degradations, timers, mailbox)
    let resumeFile = ResumeFileWriter(
      job: job, attempt: attempt, catalogue: catalogue, runDirectory: runDirectory,
      best: BestCheckpointsFile(core, catalogue, runDirectory, directories.checkpoints))
    verification = ResumePointVerification(
      store, core, attempt, link, catalogue, resumeFile, live, events, degradations, timers, mailbox)
    checkpoints = DurableCheckpoints(
      savesLast: configuration.savesLast, store: store, writer: writer, publisher: publisher, core: core,
      job: job, attempt: attempt, link: link, catalogue: catalogue, narrator: narrator, events: events,
      degradations: degradations, mailbox: mailbox,
      logged: LoggedMetrics(recovered.logged, missing: recovered.missingMetrics),
      space: SpaceCheck(directories, mailbox), best: resumeFile.best)
    metrics = MetricsReporter(
      configuration, store, writer, core, job, attempt, processes, catalogue, degradations, timers, mailbox)
    stalls = StallReporter(core, writer, degradations, timers)
    preemption = PreemptionListener(
      configuration.preemption, command, core, attempt, events, degradations, mailbox)
    service = ServiceReporter(
      link: serviceLink, core: core, job: job, attempt: attempt, catalogue: catalogue, publisher: publisher,
      live: live, degradations: degradations, timers: timers)
    let launcher = TrainerLauncher(
      configuration: configuration, directories: directories, runDirectory: runDirectory, boot: boot,
      writer: writer, core: core, job: job, command: command, processes: processes, link: link,
      catalogue: catalogue, resumeFile: resumeFile)
    attemptEnd = AttemptEnd(
      store: store, writer: writer, core: core, job: job, attempt: attempt, processes: processes, link: link,
      stacks: stacks, catalogue: catalogue, narrator: narrator, events: events, timers: timers,
      mailbox: mailbox, loop: loop)
    attemptStart = AttemptStart(
      boot: boot, stateID: recovered.mark.stateID, writer: writer, core: core,
      attempt: attempt, launcher: launcher, processes: processes, stacks: stacks, catalogue: catalogue,
      verification: verification, preemption: preemption, live: live, metrics: metrics, service: service,
      events: events, degradations: degradations, timers: timers, loop: loop, end: attemptEnd)
    ringReports = RingReports(
      core: core, job: job, attempt: attempt, processes: processes, link: link, stacks: stacks,
      catalogue: catalogue, checkpoints: checkpoints, verification: verification, live: live,
      narrator: narrator, metrics: metrics, events: events, degradations: degradations,
      runDirectory: runDirectory)
    replication = try Replication(remote, recovered, catalogue, events, degradations, mailbox)
    adoption = Adoption(
      configuration, recovered, resume, core, job, attempt, catalogue, events, degradations, timers)
    connect()
  }

  /// Connects owners to ones that were created before them.
  private func connect() {
    catalogue.isInUse = { [replication] name in replication?.replicator.isUsing(name) ?? false }
    degradations.changed = { [live] in live.write() }
    live.doing = { [unowned verification] in verification.doing }
    timers.failed = { [unowned self] in fail($0) }
    core.perform = { [unowned self] in perform($0) }
    core.willPerform = { [service] before in
      if !before.isStopping { service.notifyOfStop() }
    }
    core.didPerform = { [unowned self] before in
      if core.state.phase != before.phase, core.state.phase != .starting { live.write() }
      service.notify(since: before.phase, wasStopping: before.isStopping)
    }
  }

  // MARK: The loop

  /// - Parameter repair: of the store, when it was opened.
  func run(after repair: StoreRepair?) throws -> Ending {
    try processes.clearEarlier(timeout: .seconds(10))
    job.persist()
    if let repair { storeReports.log(repair, whileOpen: false) }
    degradations.persist()
    catalogue.logDamage()
    try ProcessTable.becomeSubreaper()
    try loop.add(signals.descriptor) { [unowned self] in handleSignals() }
    try loop.add(timers.descriptor) { [unowned self] in handleTimers() }
    try loop.add(mailbox.descriptor) { [unowned self] in handleReports() }
    preemption.listen()
    metrics.begin()
    directoryWatch.begin()
    stalls.check()
    checkpoints.persistPolicies()
    settle { [unowned self] in
      let choice = catalogue.choice
      core.send(
        .begin(
          Remains(
            resume: choice.point, progress: nil, slots: choice.slots, completedEpochs: choice.completedEpochs)
        ))
    }
    // A lost wake-up delays reports by a second at most.
    try loop.run(checkingEvery: .seconds(1)) {
      handleReports()
      ChildProcess.reapOrphans()
    }
    return ending ?? .stopped
  }

  private func handleReports() { for report in mailbox.drain() { handle(report) } }

  private func handle(_ report: Report) {
    switch report {
    case .store(.drained(let drained)): ringReports.handle(drained)
    case .store(.ringLost(let number)): ringReports.ringLost(number)
    case .store(.degraded(let why)): storeReports.degraded(why)
    case .store(.recovered(let snapshots, let records)):
      storeReports.recovered(droppedSnapshots: snapshots, droppedRecords: records)
    case .store(.replaced(let repair)): storeReports.replaced(repair)
    case .detached: settle { [unowned self] in attemptEnd.cleared() }
    case .publisher(let result): checkpoints.published(result)
    case .recorded(let publication, let durable):
      checkpoints.recorded(publication, durable: durable)
      if durable { replication?.submitNewest() }
    case .adoption(let report):
      adoption?.handle(report)
      guard case .recorded(_, _, durable: true) = report else { break }
      checkpoints.prune()
      replication?.submitNewest()
    case .replication(let report):
      replication?.handle(report)
      if endsAfterReplication, replication?.isFlushing == false { close() }
    case .shortage(let text): events.log(.spaceShort, text, isWarning: true)
    case .read(let record, let fault): checkpoints.readCompleted(record, fault: fault)
    case .pointRead(let source, let fault): verification.readCompleted(source, fault: fault)
    case .preemption(let report): preemption.handle(report)
    case .metrics(let report): metrics.handle(report)
    case .metricsPersisted: metrics.publishPersisted()
    case .stateDirectory(let text): directoryWatch.stateDirectoryChanged(text)
    case .arenaPrepared: checkpoints.arenaPrepared()
    }
  }

  /// Calls `body` when the trainer's own files are adopted, if they are at all.
  private func settle(_ body: @escaping () -> Void) {
    if let adoption { adoption.settle(body) } else { body() }
  }

  private func handleSignals() {
    while let signal = signals.next() {
      switch signal {
      case SIGTERM, SIGINT, SIGXCPU: stop(by: signal)
      case SIGCHLD: ChildProcess.reapOrphans()
      case SIGUSR1: core.send(.checkpointRequested)
      default: reload()
      }
    }
  }

  private func stop(by signal: Int32) {
    // A second signal, or the first after the training: the exit does not wait for the remote storage.
    if endsAfterReplication { return close() }
    if core.state.stop == nil { narrator.stopSignal = signal }
    core.send(.stopRequested)
  }

  /// Handles SIGHUP. Without a configuration file to reload it has its usual meaning: the terminal was closed, so the
  /// job is stopped.
  private func reload() {
    guard let reload = configuration.reload else { return stop(by: SIGHUP) }
    serviceLink.reloading()
    defer { serviceLink.reloaded() }
    switch reload() {
    case .rejected(let why):
      events.log(.reloadRefused, "reload rejected, previous configuration kept: \(why)", isWarning: true)
    case .accepted(let policy, let changes):
      core.send(.policyChanged(policy))
      checkpoints.persistPolicies()
      checkpoints.prune()
      for line in changes { events.log(.reloaded, line) }
      live.write()
    }
  }

  private func handleTimers() {
    for name in timers.removeDue(now: Moment.now.monotonic) {
      switch name {
      case .core(let kind): core.send(.timer(kind))
      case .clearing: attemptEnd.clear()
      case .beat: service.beat()
      case .metrics: metrics.publish()
      case .stall: stalls.check()
      case .reading: verification.show()
      case .runDirectory: directoryWatch.checkRunDirectory()
      case .census: attemptEnd.updateCensus()
      case .adoption: adoption?.poll()
      case .replication: if endsAfterReplication { close() }
      }
    }
  }

  /// An unexpected system error: log it and exit. The trainer dies with this process, and a new supervisor continues
  /// from what is staged.
  private func fail(_ error: POSIXError) {
    Console.warning("internal error: \(error)", .internalError)
    fatalErrno = error.errno.rawValue
    ending = ending ?? .internalError
    loop.stop()
  }

  // MARK: The core's actions

  private func perform(_ action: Action) {
    switch action {
    case .start(let number, let from, let skips, let request):
      attemptStart.start(number, from: from, skips: skips, request)
      checkpoints.prepareArena()
    case .request(let kind, let sequence, let slot, let target, let deadline):
      checkpoints.request(kind, sequence: sequence, slot: slot, target: target, deadline: deadline)
    case .offer(let slot): link.offer(slot: slot)
    case .publish(let slot, let step, let reasons): checkpoints.publish(slot: slot, step: step, reasons)
    case .mark(let step, let reasons): checkpoints.mark(step: step, reasons)
    case .cancelPublishing:
      publisher.cancel()
      adoption?.cancel()
    case .signal(.stacks): stacks.request()
    case .signal(.terminate): processes.terminate()
    case .signal(.kill): processes.kill()
    case .clear:
      processes.beginClearing(now: Moment.now.monotonic)
      attemptEnd.clear()
    case .arm(let kind, let deadline): timers.arm(.core(kind), at: deadline)
    case .disarm(let kind): timers.disarm(.core(kind))
    case .note(let note): narrator.log(note)
    case .persistStanding: writer.submit([.document("standing", core.state.standing)])
    case .acknowledge(let notice):
      // The machine may go down at once, and what is on its disk with it.
      if replication == nil { preemption.acknowledge(notice) } else { unacknowledged = notice }
    case .end(let ending): end(ending)
    }
  }

  private func end(_ ending: Ending) {
    // Also without checkpoints, and so without a final state to publish, the store is lost.
    let isLost = ending == .finished && stateDirectory.displacement != nil
    let ending = isLost ? .finalStateNotDurable : ending
    self.ending = ending
    directoryWatch.stop()
    preemption.stop()
    metrics.end()
    if ending == .finished {
      job.finish(atStep: core.state.resume.step)
      let doubt = attempt.deviation.map { "; it differs from an undisturbed run \($0.words)" } ?? ""
      events.log(
        .finished, "job \(job.record.job) finished at \(core.state.resume.place)\(doubt)",
        isWarning: attempt.deviation != nil)
    }
    guard let replication else { return close() }
    // Everything else is over; only the upload, and the watchdog, go on.
    endsAfterReplication = true
    // The history that is uploaded contains this end.
    _ = writer.submitAndWait([.job(job.record)], timeout: .seconds(2))
    let patience = replication.isBehind ? Replication.patience : .seconds(10)
    timers.arm(.replication, at: core.state.stop?.endsAt ?? Moment.now.monotonic + patience)
    replication.flush()
  }

  /// Writes the last records, and leaves the loop.
  private func close() {
    endsAfterReplication = false
    timers.disarm(.replication)
    guard let ending else { return loop.stop() }
    let left = core.state.stop.map { max(.seconds(1), $0.endsAt - Moment.now.monotonic) } ?? .seconds(10)
    replication?.end(timeout: left)
    if let unacknowledged { preemption.acknowledge(unacknowledged) }
    let last: [StoreOperation] = [.job(job.record), .live(live.record(SupervisorState(ending)))]
    let isDurable: Bool
    if core.state.stop == nil {
      isDurable = writer.submitAndWait(last)
      writer.stop()
    } else {
      isDurable = writer.submitAndWait(last, timeout: .seconds(2))
      // A stop does not wait for a disk that stalls.
      if isDurable {
        writer.stop()
      } else {
        Console.warning("the last record was not written to the store in time")
      }
    }
    // The next supervisor does not know that the job has finished, and continues from its resume point.
    if ending == .finished, !isDurable { self.ending = .finalStateNotDurable }
    if self.ending == .finished {
      link.close()
      catalogue.candidates.arena.end()
      runDirectory.clear()
    }
    loop.stop()
  }

  /// The error number that systemd shows; nil: no failure, or one without a number.
  func errno(_ ending: Ending) -> Int32? { ending.errno(start: attempt.startErrno, other: fatalErrno) }
}
