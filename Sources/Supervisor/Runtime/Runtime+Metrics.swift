import Checkpoints
import JobStore
import Metrics
import POSIX
import Supervision

// What is told to whoever collects metrics.
extension Runtime {
  /// Metrics that cannot be had are said to be, and are no reason not to train.
  func exportMetrics() {
    guard configuration.metricsAddress != nil || configuration.metricsFile != nil else { return }
    do {
      let export = try MetricsExport(
        listen: configuration.metricsAddress, file: configuration.metricsFile
      ) { [mailbox] report in mailbox.post(.metrics(report)) }
      metrics = try MetricsMemory(export, store: store)
      tellMetrics()
    } catch {
      degrade("metrics", "no metrics: \(error)")
    }
  }

  func take(_ report: MetricsReport) {
    switch report {
    case .degraded(let error): degrade("metrics \(error.code)", "\(error): \(error.hint)")
    case .recovered(let code, let text): recover("metrics \(code)", text)
    }
  }

  /// Gathers the facts. They are told when the counters in them are in the store: after a kill of the
  /// supervisor, the next one must not say less than was read.
  func tellMetrics() {
    guard metrics != nil else { return }
    // Those of the last time still wait: the store cannot be written, or only slowly.
    metrics?.tell()
    if let operation = gatherMetrics() {
      writer.submit([operation]) { [mailbox] _ in mailbox.post(.metricsKept) }
    }
    arm(.metrics, at: Self.now.monotonic + MetricsMemory.interval)
  }

  /// The last word: the supervisor leaves.
  func endMetrics() {
    guard metrics != nil else { return }
    if let operation = gatherMetrics(isSupervised: false) { _ = writer.submitAndWait([operation]) }
    metrics?.tell()
    metrics?.export.stop(patience: .seconds(1))
    metrics = nil
  }

  private func gatherMetrics(isSupervised: Bool = true) -> StoreOperation? {
    var facts = JobFacts(
      job: job.job, jobID: "\(job.id)", version: configuration.version,
      gatheredAtNs: Clock.wallNanoseconds, stepDurations: MetricsMemory.Kept.noDurations)
    facts.isSupervised = isSupervised
    facts.attempt = state.standing.attempt > 0 ? state.standing.attempt : nil
    facts.trainerIsRunning = child != nil
    facts.residentBytes = child.flatMap { ProcessTable.residentBytes(of: $0.pid) }
    facts.step = lastRecordedStep
    facts.totalSteps = job.totalSteps
    facts.stalls = state.standing.stalls
    facts.degradations = degraded.count
    facts.trainerMetrics = zip(metricNames, reported.metrics).map { .init(name: $0, value: $1) }
    if let staged = state.newestStaged { facts.checkpoints.append(.init(level: "staged", step: staged.step)) }
    let durable = records.filter { $0.damage == nil }
    if let step = durable.map(\.step).max() { facts.checkpoints.append(.init(level: "durable", step: step)) }
    facts.durableAtNs = durable.map(\.createdAtNs).max()
    return metrics?.complete(&facts, current: attempt)
  }
}
