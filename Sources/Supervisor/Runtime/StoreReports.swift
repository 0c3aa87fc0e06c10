import JobStore
import Reporting
import Supervision
import Vocabulary

/// Handles the writer's reports about the store itself.
struct StoreReports {
  let writer: StoreWriter
  let core: Core
  let job: JobRecorder
  let attempt: AttemptRecorder
  let catalogue: ResumeCatalogue
  let live: LiveRecorder
  let events: EventLog
  let degradations: Degradations

  func degraded(_ why: String) {
    degradations.begin("store", "cannot write to the store: \(why); the trainer keeps running")
  }

  func recovered(droppedSnapshots: UInt64, droppedRecords: UInt64) {
    let lost = [(droppedSnapshots, "snapshot"), (droppedRecords, "older record")]
      .filter { $0.0 > 0 }.map { Words.count($0.0, $0.1) }.joined(separator: " and ")
    degradations.end(
      "store", "the store is writable again" + (lost.isEmpty ? "" : "; \(lost) did not fit in memory"))
  }

  func replaced(_ repair: StoreRepair?) {
    if let repair {
      log(repair, whileOpen: true)
    } else {
      events.log(
        .storeRepaired, "another program overwrote the store; the known records were written to it again",
        isWarning: true)
    }
    submitEverything()
  }

  func log(_ repair: StoreRepair, whileOpen: Bool) {
    let aside = repair.aside.map { "; the damaged file is \($0)" } ?? ""
    let what = whileOpen ? "the store was damaged or replaced while it was open" : "the store was damaged"
    events.log(
      .storeRepaired,
      "\(what): a new one contains the \(Words.count(UInt64(repair.records), "record")) that could be read\(aside)",
      isWarning: true)
  }

  /// Submits again what was reported as durable but may be lost with the old store.
  private func submitEverything() {
    var operations: [StoreOperation] = [
      .job(job.record), .document("standing", core.state.standing),
      .document("metric_names", attempt.metricNames),
    ]
    if attempt.record.attempt > 0 { operations.append(.attempt(attempt.record)) }
    operations += catalogue.records.map { .checkpoint($0) }
    // A reported deviation must not be lost because of a damaged disk.
    if let deviation = attempt.deviation { operations.append(.deviation(deviation)) }
    writer.submit(operations)
    live.write()
  }
}
