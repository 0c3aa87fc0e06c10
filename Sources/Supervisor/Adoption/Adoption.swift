import Checkpoints
import JobStore
import POSIX
import Reporting
import Supervision
import SystemPackage
import TrainerProtocol
import Vocabulary

/// Adopts checkpoints that the trainer writes itself: looks for them while it runs, records copies of them, and before
/// each attempt prepares the one with which it resumes.
final class Adoption {
  enum Report: Sendable {
    case looked(Adopter.Request, Adopter.Result)
    /// The copy is in the store, unless the commit failed.
    case recorded(Adopter.Request, CheckpointRecord, durable: Bool)
    case placed(CheckpointRecord, AdoptedPlacement.Result)
  }

  private static let interval = Duration.seconds(1)
  /// Pause after a failed copy.
  private static let retryInterval = Duration.seconds(15)

  private let adopter: Adopter
  private let placement: AdoptedPlacement
  private let path: AdoptedPath
  private let core: Core
  private let job: JobRecorder
  private let attempt: AttemptRecorder
  private let catalogue: ResumeCatalogue
  private let writer: StoreWriter
  private let events: EventLog
  private let degradations: Degradations
  private let timers: Timers
  private let mailbox: Mailbox<Runtime.Report>
  /// The adopter's thread is working.
  private var isBusy = false
  /// Called when the last file of the ended attempt is adopted, and the next one's is in place.
  private var continuation: (() -> Void)?
  private var pause = Adoption.interval
  /// Files whose fault was reported.
  private var reported: Set<String> = []
  private var hasReportedProtocol = false

  /// - Returns: nil: the trainer's own files are not adopted.
  init?(
    _ configuration: Configuration, _ recovered: Recovery.Result, _ path: AdoptedPath, _ core: Core,
    _ job: JobRecorder, _ attempt: AttemptRecorder, _ catalogue: ResumeCatalogue, _ events: EventLog,
    _ degradations: Degradations, _ timers: Timers
  ) {
    guard let settings = configuration.adoption else { return nil }
    let adopter = Adopter(settings, recovered.checkpoints, ignoring: recovered.ignored)
    self.adopter = adopter
    placement = AdoptedPlacement(
      settings: settings, checkpoints: recovered.checkpoints, jobID: recovered.job.id,
      spare: recovered.directories.state.appending("resume"),
      passesPath: ResumeArgument.passesPath(configuration.command), isCancelled: adopter.isCancelled)
    self.path = path
    self.core = core
    self.job = job
    self.attempt = attempt
    self.catalogue = catalogue
    writer = recovered.writer
    self.events = events
    self.degradations = degradations
    self.timers = timers
    mailbox = recovered.mailbox
  }

  // MARK: Looking

  /// Called at each interval.
  func poll() {
    guard continuation == nil, !isBusy else { return }
    switch core.state.phase {
    case .running, .saving, .terminating:
      if core.state.attempt?.attached == true { reportProtocol() } else { look(isRunning: true) }
    case .idle, .starting, .clearing, .backingOff, .settling, .done: armNext()
    }
  }

  /// Adopts the last file of the attempt that has ended, and prepares the next one.
  func settle(_ continuation: @escaping () -> Void) {
    self.continuation = continuation
    if !isBusy { settleNow() }
  }

  /// Stops the copy in progress.
  func cancel() { adopter.cancel() }

  private func settleNow() {
    if core.state.attempt?.attached == true {
      reportProtocol()
      return finish()
    }
    look(isRunning: false)
  }

  private func armNext() { timers.arm(.adoption, at: Moment.now.monotonic + pause) }

  private func look(isRunning: Bool) {
    let adopted = catalogue.adopted
    let request = Adopter.Request(
      isRunning: isRunning, job: job.record, attempt: core.state.standing.attempt,
      newest: adopted.last { $0.damage == nil }, number: (adopted.last?.step ?? 0) + 1)
    work { [adopter, mailbox] in mailbox.post(.adoption(.looked(request, adopter.adopt(request)))) }
  }

  private func work(_ body: @escaping @Sendable () -> Void) {
    do {
      // Lower priority than the trainer.
      try NativeThread.start(niceness: 10, body)
      isBusy = true
    } catch {
      degradations.begin("checkpoints", "cannot look for checkpoints of the trainer: \(error)")
      pause = Self.retryInterval
      if continuation != nil { finish() } else { armNext() }
    }
  }

  private func reportProtocol() {
    guard !hasReportedProtocol else { return }
    hasReportedProtocol = true
    events.log(
      .checkpointUnavailable,
      "the trainer uses holdfast's protocol, so its own files are not adopted; leave out --adopt",
      isWarning: true)
  }

  // MARK: Reports

  func handle(_ report: Report) {
    isBusy = false
    switch report {
    case .looked(let request, let result): looked(request, result)
    case .recorded(let request, let record, durable: _): recorded(request, record)
    case .placed(let record, let result): placed(record, result)
    }
  }

  private func looked(_ request: Adopter.Request, _ result: Adopter.Result) {
    // At most a tenth of the time is spent on copies.
    pause = max(Self.interval, result.took * 9)
    if !request.isRunning { report(result.unusable) }
    switch result.outcome {
    case .published(let record):
      isBusy = true
      return writer.submit([.checkpoint(record)]) { [mailbox] durable in
        mailbox.post(.adoption(.recorded(request, record, durable: durable)))
      }
    case .failed(let why):
      degradations.begin("checkpoints", "no checkpoint can be made durable: \(why)")
      degradations.persist()
      pause = Self.retryInterval
    case .same(let file): catalogue.setSource(file)
    case .nothing: break
    }
    advance(after: request)
  }

  /// Also if the commit failed: the copy is complete, and the store, which reports its failure, tries again.
  private func recorded(_ request: Adopter.Request, _ record: CheckpointRecord) {
    catalogue.add(record)
    degradations.end("checkpoints", "checkpoints can be made durable again")
    let file = record.adopted?.path ?? ""
    events.log(
      .published,
      "\(file) is durable: \(record.name), \(Words.bytes(record.bytes)) in "
        + Words.duration(.nanoseconds(record.tookNs)), step: record.step)
    if attempt.record.attempt > 0 { attempt.update { $0.adopted = ($0.adopted ?? 0) + 1 } }
    if core.state.standing.attempt == 0 { reportFound(file, record) }
    core.send(.adopted(number: record.step))
    advance(after: request)
  }

  /// - Parameter request: one that was made while the trainer ran may have missed its last file.
  private func advance(after request: Adopter.Request) {
    if continuation == nil { return armNext() }
    if request.isRunning { settleNow() } else { place() }
  }

  private func report(_ unusable: [(path: String, why: String)]) {
    for (path, why) in unusable where reported.insert("\(path) \(why)").inserted {
      events.log(.checkpointDamaged, "\(path) is not used as a checkpoint: \(why)", isWarning: true)
    }
  }

  private func reportFound(_ file: String, _ record: CheckpointRecord) {
    let age = record.adopted.map { Clock.wallNanoseconds - min(Clock.wallNanoseconds, $0.modifiedAtNs) } ?? 0
    events.log(
      .checkpointFound,
      "job \(job.record.job) is new, and \(file) was there before (\(Words.duration(.nanoseconds(age))) old): "
        + "it begins with that; to start from the beginning instead: --resume-from none", isWarning: true)
  }

  // MARK: The next attempt

  /// Whether an attempt may follow.
  private var mayContinue: Bool {
    if let stop = core.state.stop { return stop.isByNotice }
    return core.state.attempt?.exit != .exited(0)
  }

  private func place() {
    guard mayContinue else { return finish() }
    path.path = nil
    path.failure = nil
    catalogue.choose(deaths: core.state.standing.countedDeaths)
    guard let record = catalogue.choice.source?.adopted else {
      setAsideIncomplete()
      return finish()
    }
    work { [adopter, placement, mailbox] in
      let result = placement.place(record)
      if case .restored(let path, _) = result { adopter.markJudged(path) }
      mailbox.post(.adoption(.placed(record, result)))
    }
  }

  private func placed(_ record: CheckpointRecord, _ result: AdoptedPlacement.Result) {
    switch result {
    case .damaged(let why):
      catalogue.markDamaged(.durable(record), why)
      // The trainer's own file may be intact, and is copied again then.
      adopter.forget()
      return settleNow()
    case .untouched(let path): self.path.path = path
    case .restored(let path, let aside):
      self.path.path = path
      catalogue.markWhole(.durable(record))
      let kept = aside.map { "; what was there is kept as \($0)" } ?? ""
      events.log(.checkpointFound, "\(path) is restored from \(record.name)\(kept)", isWarning: aside != nil)
    case .elsewhere(let path, let why):
      self.path.path = path
      catalogue.markWhole(.durable(record))
      events.log(.checkpointFound, "using a copy of \(record.name) at \(path): \(why)", isWarning: true)
    case .failed(let why): path.failure = "cannot give \(record.name) to the program: \(why)"
    }
    setAsideIncomplete()
    finish()
  }

  /// A program that is not told the path would load the newest file.
  private func setAsideIncomplete() {
    guard !placement.passesPath else { return }
    for (from, to) in adopter.setAsideIncomplete() {
      events.log(
        .checkpointDamaged,
        "\(from) is incomplete; it is kept as \(to), so that the program does not load it",
        isWarning: true)
    }
  }

  private func finish() {
    let continuation = continuation
    self.continuation = nil
    armNext()
    continuation?()
  }
}
