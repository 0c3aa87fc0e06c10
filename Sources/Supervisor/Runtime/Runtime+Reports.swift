import Checkpoints
import Glibc
import JobStore
import POSIX
import Supervision
import TrainerProtocol

// What the writer's and the publisher's threads report.
extension Runtime {
  func take(_ report: Report) {
    switch report {
    case .store(.drained(let drained)): take(drained)
    case .store(.degraded(let why)):
      degrade("store", "the store cannot be written: \(why); the trainer goes on")
    case .store(.recovered(let snapshots, let records)):
      let lost = [(snapshots, "snapshot"), (records, "older record")]
        .filter { $0.0 > 0 }.map { Words.count($0.0, $0.1) }.joined(separator: " and ")
      recover(
        "store", "the store can be written again" + (lost.isEmpty ? "" : "; \(lost) did not fit in memory"))
    case .store(.ringLost(let number)): ringLost(number)
    case .store(.replaced(let repair)):
      tellRepair(repair, whileOpen: true)
      putBack()
    case .detached: cleared()
    case .publisher(.published(let order, let record)):
      // Listed only once it is in the store.
      writer.submit([.checkpoint(record)]) { [mailbox] durable in
        mailbox.post(.recorded(order, record, durable: durable))
      }
    case .publisher(.failed(let order, let why)):
      degrade("checkpoints", "no checkpoint can be made durable: \(why)", step: order.step)
      // Once more when that is no news: `holdfast checkpoint` waits for an answer.
      keepDegraded()
      send(.publishFailed(slot: order.slot, step: order.step))
    case .publisher(.damaged(let order, let why)):
      degrade("checkpoints", "no checkpoint can be made durable: \(why)", step: order.step)
      send(.publishFailed(slot: order.slot, step: order.step, isDamaged: true))
    case .pointRead(let source, let fault): pointWasRead(source, fault: fault)
    case .preemption(let report): take(report)
    case .metrics(let report): take(report)
    case .metricsKept: metrics?.tell()
    case .statePlace(let text): take(statePlace: text)
    case .recorded(let order, let record, let durable): recorded(order, record, durable: durable)
    case .read(let record, let fault): wasRead(record, fault: fault)
    }
  }

  private func take(_ drained: Drained) {
    guard drained.attempt == attempt.attempt else { return }
    metrics?.take(drained.stepDurations)
    attempt.steps += drained.snapshots
    attempt.replayedSteps += drained.audit.replayed
    if attempt.firstStep == nil, let first = drained.firstStep {
      attempt.firstStep = first
      attempt.firstStepAtNs = drained.firstStepAtNs
      writer.submit([.attempt(attempt)])
    }
    if let difference = drained.audit.firstDifference, attempt.differsAtStep == nil {
      attempt.differsAtStep = difference.step
      attempt.differsIn = difference.part
      attempt.differences = difference.items
      deviation = deviation ?? Deviation(attempt: attempt.attempt, difference: difference)
    }
    if drained.skipped > toldSkipped {
      degrade(
        "ring",
        "\(Words.count(drained.skipped, "snapshot")) skipped: the ring was full; "
          + "the run is not affected, its history has a gap")
      toldSkipped = drained.skipped
      attempt.skippedRecords = drained.skipped
    }
    take(drained.problems)
    for control in drained.controls {
      if case .attached(let attached) = control { take(attached) }
    }
    if state.attempt?.attached == false, drained.newest != nil || !drained.controls.isEmpty {
      // It speaks the protocol, whatever it left out.
      take([RecordProblem(.attached, nil, "did not come before the others")])
      send(.attached())
    }
    if let newest = drained.newest {
      attempt.lastStep = newest.step
      attempt.lastStepAtNs = newest.timeNs
      // A supervisor that finds this attempt without an end can count what was made again by no other means.
      if drained.audit.replayed > 0 { writer.submit([.attempt(attempt)]) }
      reported.metrics = newest.metrics
      newestPosition = BatchPosition(epoch: newest.epoch, batch: newest.batch)
      send(
        .stepped(
          Progress(
            step: newest.step, position: BatchPosition(epoch: newest.epoch, batch: newest.batch),
            batchesPerEpoch: job.batchesPerEpoch)))
      tellReplay(atEnd: false)
      lastRecordedStep = max(lastRecordedStep ?? 0, newest.step)
    } else if drained.heartbeat != heartbeat {
      send(.heartbeat)
    }
    heartbeat = drained.heartbeat
    for control in drained.controls { take(control) }
    if let acknowledged = drained.acknowledged { takeLostAnswer(acknowledged) }
  }

  /// The ring was read to its end, and the record of an answer that the header tells of was not there.
  private func takeLostAnswer(_ acknowledged: Acknowledgement) {
    guard let request = state.request, request.sequence == acknowledged.sequence else { return }
    var outcome = StageOutcome.missed
    switch acknowledged.outcome {
    case .staged:
      // The slot says the rest.
      if let image = candidates.image(UInt32(request.slot)), image.description.cutID == requestedCut {
        let step = image.description.step
        staged = .init(step: step, bytes: UInt64(image.bytes.count), atNs: Clock.wallNanoseconds)
        candidates.digests.make(UInt32(request.slot))
        outcome = .staged(step: step, stall: .zero)
      }
    case .failed: outcome = .failed(errno: EIO)
    case .missed, .cancelled, .none: break
    }
    send(.answered(sequence: request.sequence, outcome))
    keepLive()
  }

  /// Says once what is wrong with a field, and shows it for as long as the attempt runs.
  private func take(_ problems: [RecordProblem]) {
    for problem in problems where attempt.recordProblems?.count ?? 0 < Self.longestProblems {
      let isNew = unusableFields.insert("\(problem.kind.name).\(problem.field ?? "")").inserted
      guard isNew else { continue }
      attempt.recordProblems = (attempt.recordProblems ?? []) + [problem.description]
      let text = "the trainer's records are not as they should be: \(problem.description)"
      tell(.recordUnusable, text, isWarning: true)
      degraded["records"] = degraded["records"].map { "\($0); \(problem.description)" } ?? text
      writer.submit([.attempt(attempt)])
      keepDegraded()
    }
  }

  private static let longestProblems = 16

  private func take(_ control: Drained.Control) {
    switch control {
    case .attached: break
    case .metricNames(let names): metricNames = names
    case .failure(let failure): attempt.failure = failure
    case .staged(let answer):
      let outcome: StageOutcome =
        switch answer.outcome {
        case .staged: .staged(step: answer.step, stall: .nanoseconds(answer.stallNanoseconds))
        case .failed: .failed(errno: answer.error)
        case .missed, .cancelled, .none: .missed
        }
      if answer.outcome == .staged {
        keepStaged(answer)
        attempt.stallNs = (attempt.stallNs ?? 0) &+ answer.stallNanoseconds
      }
      if answer.requestSequence == 0 {
        send(.stagedInitially(slot: answer.slot.map(Int.init) ?? -1, outcome))
      } else {
        send(.answered(sequence: answer.requestSequence, outcome))
      }
      keepLive()
    case .finished(let answer):
      if answer.slot != nil { keepStaged(answer) }
      attempt.finishedStep = answer.step
      send(.finished(step: answer.step, slot: answer.slot.map(Int.init)))
    }
  }

  private func keepStaged(_ answer: Staged) {
    staged = .init(step: answer.step, bytes: answer.imageBytes, atNs: Clock.wallNanoseconds)
    if let slot = answer.slot, slot < configuration.policy.slotCount { candidates.digests.make(slot) }
  }

  private func take(_ attached: Attached) {
    job.totalSteps = attached.totalSteps ?? job.totalSteps
    job.totalEpochs = attached.totalEpochs ?? job.totalEpochs
    job.batchesPerEpoch = attached.batchesPerEpoch ?? job.batchesPerEpoch
    if !attached.hyperparameters.isEmpty { job.hyperparameters = attached.hyperparameters }
    writer.submit([.job(job)])
    stacksOffer = StacksOffer(attached)
    send(.attached(tellsStacks: stacksOffer != nil))
    endMisledTrainer()
  }
}
