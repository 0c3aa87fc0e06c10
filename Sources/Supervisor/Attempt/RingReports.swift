import Checkpoints
import Glibc
import JobStore
import POSIX
import Reporting
import Supervision
import SystemPackage
import TrainerProtocol
import Vocabulary

/// Passes what the trainer reports through the ring to the attempt's record and to the core.
struct RingReports {
  let core: Core
  let job: JobRecorder
  let attempt: AttemptRecorder
  let processes: TrainerProcesses
  let link: TrainerLink
  let stacks: HangStacks
  let catalogue: ResumeCatalogue
  let checkpoints: DurableCheckpoints
  let verification: ResumePointVerification
  let live: LiveRecorder
  let narrator: Narrator
  let metrics: MetricsReporter
  let events: EventLog
  let degradations: Degradations
  let runDirectory: RunDirectory

  func handle(_ drained: Drained) {
    guard drained.attempt == attempt.record.attempt else { return }
    defer { checkpoints.best.update() }
    metrics.add(drained.stepDurations)
    attempt.add(drained)
    if link.updateSkipped(drained.skipped) {
      degradations.begin(
        "ring",
        "\(Words.count(drained.skipped, "snapshot")) skipped: the ring was full; "
          + "the run is not affected, its history has a gap")
      attempt.note { $0.skippedRecords = drained.skipped }
    }
    report(drained.problems)
    for case .attached(let attached) in drained.controls { self.attached(attached) }
    checkpoints.prepareArena(imageBytes: drained.stateBytes)
    if core.state.attempt?.attached == false, drained.newest != nil || !drained.controls.isEmpty {
      // It uses the protocol, although this record is missing.
      report([RecordProblem(.attached, nil, "was not sent first")])
      core.send(.attached())
    }
    // Before the first step, at which a request may be due: its slot must not be that of the initial state.
    for case .staged(let answer) in drained.controls where answer.isInitial { answered(answer) }
    let isAlive = link.updateHeartbeat(drained.heartbeat)
    if let newest = drained.newest {
      attempt.advance(to: newest, hasReplayed: drained.audit.replayed > 0)
      core.send(
        .stepped(
          Progress(
            step: newest.step, position: BatchPosition(epoch: newest.epoch, batch: newest.batch),
            batchesPerEpoch: job.record.batchesPerEpoch)))
      narrator.logReplay(atEnd: false)
    } else if isAlive {
      core.send(.heartbeat)
    }
    for control in drained.controls { handle(control) }
    if let acknowledged = drained.acknowledged { replaceLostAnswer(acknowledged) }
  }

  /// Logs the problem of a field once, and shows it as long as the attempt runs.
  private func report(_ problems: [RecordProblem]) {
    for problem in problems where attempt.add(problem) {
      let text = "the trainer sent invalid records: \(problem.description)"
      events.log(.recordUnusable, text, isWarning: true)
      degradations.set(
        "records", degradations.reasons["records"].map { "\($0); \(problem.description)" } ?? text)
    }
  }

  private func handle(_ control: Drained.Control) {
    switch control {
    case .attached: break
    case .metricNames(let names): attempt.rename(metrics: names)
    case .metrics(let metrics): checkpoints.add(metrics)
    case .failure(let failure): attempt.note { $0.failure = failure }
    case .staged(let answer): if !answer.isInitial { answered(answer) }
    case .finished(let answer):
      if answer.slot != nil { wasStaged(answer) }
      attempt.note { $0.finishedStep = answer.step }
      core.send(.finished(step: answer.step, slot: answer.slot.map(Int.init)))
    }
  }

  private func attached(_ attached: Attached) {
    reportUnchanged(attached.hyperparameters)
    job.attached(attached)
    stacks.attached(attached)
    core.send(.attached(offersStacks: stacks.areOffered))
    verification.endTrainerWithDamagedPoint()
  }

  /// A trainer that replaces a value of `--set` by its own.
  private func reportUnchanged(_ hyperparameters: Hyperparameters) {
    guard let changes = job.record.hyperparameterChanges else { return }
    let wanted = changes.applied(to: [:])
    for (name, value) in hyperparameters.sorted(by: { $0.key < $1.key }) {
      guard let changed = wanted[name], changed != value else { continue }
      events.log(
        .hyperparametersChanged,
        "the trainer uses \(value.text()) for hyperparameter \(name), not \(changed.text()) (--set)",
        isWarning: true)
    }
  }

  // MARK: Staged images

  private func answered(_ answer: Staged) {
    let outcome: StageOutcome =
      switch answer.outcome {
      case .staged:
        .staged(
          // The next copy does not have to prepare the slot.
          step: answer.step, stall: .nanoseconds(answer.copyNanoseconds),
          completedEpochs: UInt64(answer.completedEpochs))
      case .failed: .failed(errno: answer.error)
      case .missed, .cancelled, .none: .missed(step: answer.step)
      }
    // Also of one that found no room.
    checkpoints.prepareArena(imageBytes: answer.imageBytes)
    let isRepeated = answer.requestSequence == core.state.attempt?.answered?.sequence
    if answer.outcome == .staged, !isRepeated {
      wasStaged(answer)
      attempt.note { $0.stallNs = ($0.stallNs ?? 0) &+ answer.stallNanoseconds }
    }
    if answer.isInitial {
      core.send(.stagedInitially(slot: answer.slot.map(Int.init) ?? -1, outcome))
    } else {
      core.send(.answered(sequence: answer.requestSequence, outcome))
    }
    live.write()
  }

  private func wasStaged(_ answer: Staged) {
    live.staged = .init(step: answer.step, bytes: answer.imageBytes, atNs: Clock.wallNanoseconds)
    if let slot = answer.slot, slot < core.state.policy.slotCount {
      catalogue.candidates.digests.make(slot)
    }
  }

  /// The ring was read to its end without the record of an answer that the header contains.
  private func replaceLostAnswer(_ acknowledged: Acknowledgement) {
    guard let request = core.state.request, request.sequence == acknowledged.sequence else { return }
    var outcome = StageOutcome.missed()
    switch acknowledged.outcome {
    case .staged:
      // The slot's header has the rest.
      let image = catalogue.candidates.image(UInt32(request.slot))
      if let image, image.description.cutID == link.requestedCut {
        let step = image.description.step
        live.staged = .init(step: step, bytes: UInt64(image.bytes.count), atNs: Clock.wallNanoseconds)
        catalogue.candidates.digests.make(UInt32(request.slot))
        outcome = .staged(step: step, stall: .zero)
      }
    case .failed: outcome = .failed(errno: EIO)
    case .missed, .cancelled, .none: break
    }
    core.send(.answered(sequence: request.sequence, outcome))
    live.write()
  }

  /// The trainer's steps are no longer recorded, requests do not reach it, and it dies at the first missing page. So
  /// the next attempt starts now, from the newest resume point.
  func ringLost(_ number: UInt64) {
    guard number == attempt.record.attempt else { return }
    let text = "the ring of attempt \(number) was truncated: \(runDirectory.path)/ring-0"
    let isOver = processes.child == nil
    events.log(.ringLost, isOver ? text : "\(text); ending the attempt", isWarning: true)
    guard !isOver else { return }
    attempt.note { $0.failure = $0.failure ?? Failure(type: "ring lost", message: text) }
    processes.kill()
  }
}

extension Staged {
  /// Whether it is the answer for the state before the first step, which nobody requested.
  fileprivate var isInitial: Bool { requestSequence == 0 }
}
