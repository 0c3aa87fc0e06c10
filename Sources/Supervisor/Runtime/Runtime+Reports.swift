import Checkpoints
import Glibc
import JobStore
import POSIX
import Reporting
import Supervision
import TrainerProtocol
import Vocabulary

// What other threads report.
extension Runtime {
  func handle(_ report: Report) {
    switch report {
    case .store(let report): handle(report)
    case .detached: cleared()
    case .publisher(let result): published(result)
    case .recorded(let order, let record, let durable): recorded(order, record, durable: durable)
    case .read(let record, let fault): wasRead(record, fault: fault)
    case .pointRead(let source, let fault): pointWasRead(source, fault: fault)
    case .preemption(let report): handle(report)
    case .metrics(let report): handle(report)
    case .metricsKept: metrics?.publish()
    case .statePlace(let text): statePlaceChanged(text)
    }
  }

  private func handle(_ report: StoreReport) {
    switch report {
    case .drained(let drained): handle(drained)
    case .degraded(let why):
      degradations.begin("store", "the store cannot be written: \(why); the trainer goes on")
    case .recovered(let snapshots, let records):
      let lost = [(snapshots, "snapshot"), (records, "older record")]
        .filter { $0.0 > 0 }.map { Words.count($0.0, $0.1) }.joined(separator: " and ")
      degradations.end(
        "store", "the store can be written again" + (lost.isEmpty ? "" : "; \(lost) did not fit in memory"))
    case .ringLost(let number): ringLost(number)
    case .replaced(let repair):
      logRepair(repair, whileOpen: true)
      submitEverything()
    }
  }

  // MARK: What the ring has

  private func handle(_ drained: Drained) {
    guard drained.attempt == attempt.record.attempt else { return }
    metrics?.add(drained.stepDurations)
    attempt.add(drained)
    if link.skips(drained.skipped) {
      degradations.begin(
        "ring",
        "\(Words.count(drained.skipped, "snapshot")) skipped: the ring was full; "
          + "the run is not affected, its history has a gap")
      attempt.note { $0.skippedRecords = drained.skipped }
    }
    report(drained.problems)
    for case .attached(let attached) in drained.controls { self.attached(attached) }
    if state.attempt?.attached == false, drained.newest != nil || !drained.controls.isEmpty {
      // It speaks the protocol, whatever it left out.
      report([RecordProblem(.attached, nil, "did not come before the others")])
      send(.attached())
    }
    let isAlive = link.beats(drained.heartbeat)
    if let newest = drained.newest {
      attempt.advance(to: newest, hasReplayed: drained.audit.replayed > 0)
      send(
        .stepped(
          Progress(
            step: newest.step, position: BatchPosition(epoch: newest.epoch, batch: newest.batch),
            batchesPerEpoch: job.batchesPerEpoch)))
      logReplay(atEnd: false)
    } else if isAlive {
      send(.heartbeat)
    }
    for control in drained.controls { handle(control) }
    if let acknowledged = drained.acknowledged { replaceLostAnswer(acknowledged) }
  }

  /// Logs once what is wrong with a field, and shows it for as long as the attempt runs.
  private func report(_ problems: [RecordProblem]) {
    for problem in problems where attempt.add(problem) {
      let text = "the trainer's records are not as they should be: \(problem.description)"
      events.log(.recordUnusable, text, isWarning: true)
      degradations.set(
        "records", degradations.reasons["records"].map { "\($0); \(problem.description)" } ?? text)
    }
  }

  private func handle(_ control: Drained.Control) {
    switch control {
    case .attached: break
    case .metricNames(let names): attempt.rename(metrics: names)
    case .failure(let failure): attempt.note { $0.failure = failure }
    case .staged(let answer): answered(answer)
    case .finished(let answer):
      if answer.slot != nil { wasStaged(answer) }
      attempt.note { $0.finishedStep = answer.step }
      send(.finished(step: answer.step, slot: answer.slot.map(Int.init)))
    }
  }

  private func attached(_ attached: Attached) {
    job.totalSteps = attached.totalSteps ?? job.totalSteps
    job.totalEpochs = attached.totalEpochs ?? job.totalEpochs
    job.batchesPerEpoch = attached.batchesPerEpoch ?? job.batchesPerEpoch
    if !attached.hyperparameters.isEmpty { job.hyperparameters = attached.hyperparameters }
    writer.submit([.job(job)])
    stacks.attached(attached)
    send(.attached(tellsStacks: stacks.areOffered))
    endMisledTrainer()
  }

  // MARK: Staged images

  private func answered(_ answer: Staged) {
    let outcome: StageOutcome =
      switch answer.outcome {
      case .staged: .staged(step: answer.step, stall: .nanoseconds(answer.stallNanoseconds))
      case .failed: .failed(errno: answer.error)
      case .missed, .cancelled, .none: .missed
      }
    if answer.outcome == .staged {
      wasStaged(answer)
      attempt.note { $0.stallNs = ($0.stallNs ?? 0) &+ answer.stallNanoseconds }
    }
    if answer.requestSequence == 0 {
      send(.stagedInitially(slot: answer.slot.map(Int.init) ?? -1, outcome))
    } else {
      send(.answered(sequence: answer.requestSequence, outcome))
    }
    writeLive()
  }

  private func wasStaged(_ answer: Staged) {
    staged = .init(step: answer.step, bytes: answer.imageBytes, atNs: Clock.wallNanoseconds)
    if let slot = answer.slot, slot < configuration.policy.slotCount {
      catalogue.candidates.digests.make(slot)
    }
  }

  /// The ring was read to its end, and the record of an answer that the header tells of was not there.
  private func replaceLostAnswer(_ acknowledged: Acknowledgement) {
    guard let request = state.request, request.sequence == acknowledged.sequence else { return }
    var outcome = StageOutcome.missed
    switch acknowledged.outcome {
    case .staged:
      // The slot says the rest.
      let image = catalogue.candidates.image(UInt32(request.slot))
      if let image, image.description.cutID == link.requestedCut {
        let step = image.description.step
        staged = .init(step: step, bytes: UInt64(image.bytes.count), atNs: Clock.wallNanoseconds)
        catalogue.candidates.digests.make(UInt32(request.slot))
        outcome = .staged(step: step, stall: .zero)
      }
    case .failed: outcome = .failed(errno: EIO)
    case .missed, .cancelled, .none: break
    }
    send(.answered(sequence: request.sequence, outcome))
    writeLive()
  }
}
