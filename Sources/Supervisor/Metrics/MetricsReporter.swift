import Checkpoints
import JobStore
import Metrics
import POSIX
import Reporting
import Supervision
import Vocabulary

/// Gathers and publishes metrics.
final class MetricsReporter {
  private let configuration: Configuration
  private let store: JobStore
  private let writer: StoreWriter
  private let core: Core
  private let job: JobRecorder
  private let attempt: AttemptRecorder
  private let processes: TrainerProcesses
  private let catalogue: ResumeCatalogue
  private let degradations: Degradations
  private let timers: Timers
  private let mailbox: Mailbox<Runtime.Report>
  private var memory: MetricsMemory?

  init(
    _ configuration: Configuration, _ store: JobStore, _ writer: StoreWriter, _ core: Core,
    _ job: JobRecorder, _ attempt: AttemptRecorder, _ processes: TrainerProcesses,
    _ catalogue: ResumeCatalogue, _ degradations: Degradations, _ timers: Timers,
    _ mailbox: Mailbox<Runtime.Report>
  ) {
    self.configuration = configuration
    self.store = store
    self.writer = writer
    self.core = core
    self.job = job
    self.attempt = attempt
    self.processes = processes
    self.catalogue = catalogue
    self.degradations = degradations
    self.timers = timers
    self.mailbox = mailbox
  }

  /// Training continues without metrics if they cannot be exported; the degradation is reported.
  func begin() {
    guard configuration.metricsAddress != nil || configuration.metricsFile != nil else { return }
    do {
      let export = try MetricsExport(
        listen: configuration.metricsAddress, file: configuration.metricsFile
      ) { [mailbox] report in mailbox.post(.metrics(report)) }
      memory = try MetricsMemory(export, store: store)
      publish()
    } catch {
      degradations.begin("metrics", "no metrics: \(error)")
    }
  }

  func handle(_ report: MetricsReport) {
    switch report {
    case .degraded(let error):
      degradations.begin("metrics \(error.code)", "\(error)\(error.hint.map { "; \($0)" } ?? "")")
    case .recovered(let code, let text): degradations.end("metrics \(code)", text)
    }
  }

  /// Gathers the facts. They are published when their counters are in the store: if the supervisor is killed, the next
  /// one must not report less than was already read.
  func publish() {
    guard memory != nil else { return }
    // The previous facts may still wait if the store cannot be written or is slow.
    memory?.publish()
    if let operation = gather() {
      writer.submit([operation]) { [mailbox] _ in mailbox.post(.metricsPersisted) }
    }
    timers.arm(.metrics, at: Moment.now.monotonic + MetricsMemory.interval)
  }

  /// Publishes for the last time: the supervisor exits.
  func end() {
    guard memory != nil else { return }
    if let operation = gather(isSupervised: false) { _ = writer.submitAndWait([operation]) }
    memory?.publish()
    memory?.export.stop(timeout: .seconds(1))
    memory = nil
  }

  private func gather(isSupervised: Bool = true) -> StoreOperation? {
    var facts = JobFacts(
      job: job.record.job, jobID: "\(job.record.id)", version: configuration.version,
      gatheredAtNs: Clock.wallNanoseconds, stepDurations: MetricsMemory.Persisted.noDurations)
    facts.isSupervised = isSupervised
    facts.attempt = core.state.standing.attempt > 0 ? core.state.standing.attempt : nil
    facts.trainerIsRunning = processes.child != nil
    facts.residentBytes = processes.child.flatMap { ProcessTable.residentBytes(of: $0.pid) }
    facts.step = attempt.furthestStep
    facts.steppedAtNs = processes.child != nil ? attempt.record.lastStepAtNs : nil
    facts.totalSteps = job.record.totalSteps
    facts.stalls = core.state.standing.stalls
    facts.degradations = degradations.reasons.count
    facts.trainerMetrics = zip(attempt.metricNames, attempt.metrics).map { .init(name: $0, value: $1) }
    if let staged = core.state.newestStaged {
      facts.checkpoints.append(.init(level: Level.staged.rawValue, step: staged.step))
    }
    if let step = catalogue.resumable.map(\.step).max() {
      facts.checkpoints.append(.init(level: Level.durable.rawValue, step: step))
    }
    facts.durableAtNs = catalogue.newestDurableAtNs
    return memory?.complete(&facts, current: attempt.record)
  }

  /// Called when the gathered counters are in the store, or cannot be.
  func publishPersisted() { memory?.publish() }

  /// The attempt on record is over, and another will take its place.
  func addPast(_ attempt: AttemptRecord) { memory?.addPast(attempt) }

  func add(_ durations: StepDurations) { memory?.add(durations) }
}
