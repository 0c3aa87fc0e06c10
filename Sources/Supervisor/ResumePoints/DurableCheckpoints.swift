import JobStore
import POSIX
import Reporting
import Supervision
import TrainerProtocol
import Vocabulary

/// Requests, publishes, records and prunes durable checkpoints.
struct DurableCheckpoints {
  let keptCheckpoints: Int
  let store: JobStore
  let writer: StoreWriter
  let publisher: Publisher
  let core: Core
  let job: JobRecorder
  let attempt: AttemptRecorder
  let link: TrainerLink
  let catalogue: ResumeCatalogue
  let narrator: Narrator
  let events: EventLog
  let degradations: Degradations
  let mailbox: Mailbox<Runtime.Report>

  func request(_ kind: RequestKind, sequence: UInt64, slot: Int, deadline: Duration?) {
    // The core's deadlines are times since boot.
    link.post(
      kind, sequence: sequence, slot: slot, generation: core.state.standing.attempt,
      deadline: deadline.map { $0 - Moment.now.monotonic })
    if kind != .cancel { writer.expectAnswer() }
  }

  func publish(slot: Int, step: UInt64) {
    let order = Publisher.Order(slot: slot, step: step, job: job.record) {
      [store, writer, metricNames = attempt.metricNames] in
      // The step may be one of the last of a trainer that has ended, and not be in the store yet.
      writer.submitAndWait([], timeout: .seconds(5))
      // If the row cannot be read, the manifest only lacks its metrics.
      let values = (try? store.snapshot(at: step))?.metrics ?? []
      return Dictionary(zip(metricNames, values)) { first, _ in first }
    }
    publisher.publish(order) { [mailbox] result in mailbox.post(.publisher(result)) }
  }

  func published(_ result: Publisher.Result) {
    switch result {
    case .published(let order, let record):
      // Listed only once it is in the store.
      writer.submit([.checkpoint(record)]) { [mailbox] durable in
        mailbox.post(.recorded(order, record, durable: durable))
      }
    case .failed(let order, let why):
      degradations.begin("checkpoints", "no checkpoint can be made durable: \(why)", step: order.step)
      // Even if the reason is unchanged: `holdfast checkpoint` waits for an answer.
      degradations.persist()
      core.send(.publishFailed(slot: order.slot, step: order.step))
    case .damaged(let order, let why):
      degradations.begin("checkpoints", "no checkpoint can be made durable: \(why)", step: order.step)
      core.send(.publishFailed(slot: order.slot, step: order.step, isDamaged: true))
    }
  }

  func recorded(_ order: Publisher.Order, _ record: CheckpointRecord, durable: Bool) {
    guard durable else {
      return core.send(.publishFailed(slot: order.slot, step: order.step))
    }
    catalogue.add(record)
    degradations.end("checkpoints", "checkpoints can be made durable again")
    events.log(
      .published,
      "step \(Words.number(record.step)) is durable: \(record.name), \(Words.bytes(record.bytes)) in "
        + Words.duration(.nanoseconds(record.tookNs)), step: record.step)
    prune()
    narrator.recordSaved()
    core.send(.published(slot: order.slot, step: order.step, took: .nanoseconds(record.tookNs)))
  }

  func readCompleted(_ record: CheckpointRecord, fault: String?) {
    catalogue.readCompleted(record, fault: fault)
    prune()
  }

  private func prune() {
    for record in catalogue.prune(keepLast: keptCheckpoints) {
      publisher.read(record) { [mailbox] fault in mailbox.post(.read(record, fault: fault)) }
    }
  }
}
