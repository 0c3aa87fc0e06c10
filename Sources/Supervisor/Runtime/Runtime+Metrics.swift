import Checkpoints
import JobStore
import Metrics
import POSIX
import Supervision

// What whoever collects metrics reads.
extension Runtime {
  /// Metrics that cannot be had are said to be, and are no reason not to train.
  func exportMetrics() {
    guard configuration.metricsAddress != nil || configuration.metricsFile != nil else { return }
    do {
      let export = try MetricsExport(
        listen: configuration.metricsAddress, file: configuration.metricsFile
      ) { [mailbox] report in mailbox.post(.metrics(report)) }
      metrics = try MetricsMemory(export, store: store)
      publishMetrics()
    } catch {
      degradations.begin("metrics", "no metrics: \(error)")
    }
  }

  func handle(_ report: MetricsReport) {
    switch report {
    case .degraded(let error): degradations.begin("metrics \(error.code)", "\(error): \(error.hint)")
    case .recovered(let code, let text): degradations.end("metrics \(code)", text)
    }
  }

  /// Gathers the facts. They are published when the counters in them are in the store: after a kill of the
  /// supervisor, the next one must not say less than was read.
  func publishMetrics() {
    guard metrics != nil else { return }
    // Those of the last time still wait: the store cannot be written, or only slowly.
    metrics?.publish()
    if let operation = gatherMetrics() {
      writer.submit([operation]) { [mailbox] _ in mailbox.post(.metricsKept) }
    }
    arm(.metrics, at: Self.now.monotonic + MetricsMemory.interval)
  }

  /// The last word: the supervisor leaves.
  func endMetrics() {
    guard metrics != nil else { return }
    if let operation = gatherMetrics(isSupervised: false) { _ = writer.submitAndWait([operation]) }
    metrics?.publish()
    metrics?.export.stop(timeout: .seconds(1))
    metrics = nil
  }

  private func gatherMetrics(isSupervised: Bool = true) -> StoreOperation? {
    var facts = JobFacts(
      job: job.job, jobID: "\(job.id)", version: configuration.version,
      gatheredAtNs: Clock.wallNanoseconds, stepDurations: MetricsMemory.Kept.noDurations)
    facts.isSupervised = isSupervised
    facts.attempt = state.standing.attempt > 0 ? state.standing.attempt : nil
    facts.trainerIsRunning = processes.child != nil
    facts.residentBytes = processes.child.flatMap { ProcessTable.residentBytes(of: $0.pid) }
    facts.step = attempt.furthestStep
    facts.totalSteps = job.totalSteps
    facts.stalls = state.standing.stalls
    facts.degradations = degradations.reasons.count
    facts.trainerMetrics = zip(attempt.metricNames, attempt.metrics).map { .init(name: $0, value: $1) }
    if let staged = state.newestStaged { facts.checkpoints.append(.init(level: "staged", step: staged.step)) }
    if let step = catalogue.undamaged.map(\.step).max() {
      facts.checkpoints.append(.init(level: "durable", step: step))
    }
    facts.durableAtNs = catalogue.newestDurableAtNs
    return metrics?.complete(&facts, current: attempt.record)
  }
}
