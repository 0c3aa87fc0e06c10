import JobStore
import POSIX
import Reporting
import Supervision
import TrainerProtocol
import Vocabulary

/// Requests, publishes, records and prunes durable checkpoints.
struct DurableCheckpoints {
  let savesLast: Bool
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
  let logged: LoggedMetrics
  let space: SpaceCheck
  let best: BestCheckpointsFile

  func request(
    _ kind: RequestKind, sequence: UInt64, slot: Int, target: SaveTarget?, deadline: Duration?
  ) {
    // While its pages are allocated, the copy would wait for them. A repetition of the request does not wait.
    let waits = kind == .save && target == nil && deadline == nil && link.waiting == nil && arena.isBusy
    link.waiting = waits ? sequence : nil
    if !waits { post(kind, sequence: sequence, slot: slot, target: target, deadline: deadline) }
  }

  private func post(
    _ kind: RequestKind, sequence: UInt64, slot: Int, target: SaveTarget?, deadline: Duration?
  ) {
    // The core's deadlines are times since boot.
    link.post(
      kind, sequence: sequence, slot: slot, target: target, generation: core.state.standing.attempt,
      deadline: deadline.map { $0 - Moment.now.monotonic })
    if kind != .cancel { writer.expectAnswer() }
  }

  private var arena: ArenaPreparation { catalogue.candidates.arena }

  /// An attempt begins: its images will probably be as large as the one from which it resumes.
  func prepareArena() {
    let bytes: UInt64? =
      switch catalogue.choice.source {
      case .staged(_, _, _, let lengthBytes): lengthBytes
      case .durable(let record): record.bytes
      case .snapshot, nil: nil
      }
    prepareArena(imageBytes: bytes ?? 0, isNew: true)
  }

  /// - Parameter imageBytes: 0: unknown.
  func prepareArena(imageBytes: UInt64, isNew: Bool = false) {
    arena.prepare(imageBytes: Int(clamping: imageBytes), isNew: isNew) { [mailbox] in
      mailbox.post(.arenaPrepared)
    }
    space.check(
      stateBytes: imageBytes, core.state.policy, catalogue.records, totalSteps: job.record.totalSteps)
  }

  func arenaPrepared() {
    link.setPrepared(bytes: arena.preparedBytes)
    guard !arena.isBusy, let sequence = link.waiting, let request = core.state.request,
      request.sequence == sequence
    else { return }
    link.waiting = nil
    post(request.kind, sequence: sequence, slot: request.slot, target: nil, deadline: nil)
  }

  func publish(slot: Int, step: UInt64, _ reasons: Set<CheckpointReason>) {
    let words = Set(reasons.map(\.word))
    let state = core.state
    let order = Publisher.Order(
      slot: slot, step: step, job: job.record, savedFor: words.sorted(),
      whole: state.publishesWholeState ? naming(words, weightsOnly: false) : nil,
      weights: state.publishesWeights ? naming(words, weightsOnly: true) : nil
    ) { [store, writer, metricNames = attempt.metricNames, logged = logged.values(of: step)] in
      // The step may be one of the last of a trainer that has ended, and not be in the store yet.
      writer.submitAndWait([], timeout: .seconds(5))
      // If the row cannot be read, the manifest only lacks its metrics.
      let values = (try? store.snapshot(at: step))?.metrics ?? []
      return Dictionary(zip(metricNames, values)) { first, _ in first }.merging(logged) { $1 }
    }
    publisher.publish(order) { [mailbox] result in mailbox.post(.publisher(result)) }
    best.update()
  }

  /// The first policy that has a template and asked for this checkpoint, else that of the job, else one without a
  /// template.
  private func naming(_ words: Set<String>, weightsOnly: Bool) -> CheckpointPolicy {
    let policy = core.state.policy
    let own = policy.additional.first {
      $0.weightsOnly == weightsOnly && $0.nameTemplate != nil
        && !words.isDisjoint(with: $0.reasons.map(\.word))
    }
    return own ?? (policy.checkpoint.weightsOnly == weightsOnly ? policy.checkpoint : CheckpointPolicy())
  }

  func published(_ result: Publisher.Result) {
    defer { best.update() }
    switch result {
    case .published(let publication):
      // Listed only once it is in the store.
      writer.submit(publication.records.map { .checkpoint($0) }) { [mailbox] durable in
        mailbox.post(.recorded(publication, durable: durable))
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

  func recorded(_ publication: Publisher.Publication, durable: Bool) {
    defer { best.update() }
    let order = publication.order
    guard durable else {
      return core.send(.publishFailed(slot: order.slot, step: order.step))
    }
    for record in publication.records { add(record) }
    if let fault = publication.weightsFault {
      degradations.begin("weights", "weights cannot be made durable: \(fault)", step: order.step)
    } else if order.weights != nil {
      degradations.end("weights", "weights can be made durable again")
    }
    prune()
    for record in publication.records { reportMissingMetric(record) }
    if order.whole != nil { narrator.recordSaved() }
    if core.state.phase == .backingOff {
      // The image that it was made from may be one that attempts died of.
      catalogue.choose(deaths: core.state.standing.restoreDeaths ?? [])
      core.send(.resumePointChosen(catalogue.choice.point))
    }
    core.send(.published(slot: order.slot, step: order.step, took: publication.took))
  }

  private func add(_ record: CheckpointRecord) {
    catalogue.add(record)
    // Metrics of this step may have been reported while it was written.
    catalogue.add(metrics: logged.values(of: record.step), toStep: record.step)
    let step = Words.number(record.step)
    let size = "\(Words.bytes(record.bytes)) in \(Words.duration(.nanoseconds(record.tookNs)))"
    if record.isWhole {
      if savesLast { publisher.pointLast(to: record) }
      degradations.end("checkpoints", "checkpoints can be made durable again")
      events.log(.published, "step \(step) is durable: \(record.name), \(size)", step: record.step)
    } else {
      events.log(
        .published, "the weights of step \(step) are durable: \(record.name), \(size)", step: record.step)
    }
  }

  func readCompleted(_ record: CheckpointRecord, fault: String?) {
    catalogue.readCompleted(record, fault: fault)
    prune()
  }

  /// Records further reasons for the checkpoint of a step.
  func mark(step: UInt64, _ reasons: Set<CheckpointReason>) {
    catalogue.mark(step: step, reasons.map(\.word))
    prune()
  }

  /// Called when the trainer reported metrics of a step after it.
  func add(_ metrics: StepMetrics) {
    logged.add(metrics)
    best.addLogged()
    writer.submit([.document(LoggedMetrics.document, metrics)])
    if catalogue.add(metrics: metrics.values, toStep: metrics.step) { prune() }
  }

  /// Reported once in the life of the job: a checkpoint without the monitored metric ranks last.
  private func reportMissingMetric(_ record: CheckpointRecord) {
    // A validation may follow and report it.
    guard
      let previous = catalogue.records.last(where: { $0.isWhole == record.isWhole && $0.step < record.step })
    else { return }
    for policy in core.state.policy.policies where policy.weightsOnly != record.isWhole {
      guard let monitor = policy.monitor, previous.metrics[monitor].map(\.isNaN) ?? true,
        logged.isFirstMissing(monitor)
      else { continue }
      writer.submit([.document(LoggedMetrics.missingDocument, logged.missing)])
      events.log(
        .metricMissing, Self.missing(monitor, previous, policy), isWarning: true, step: previous.step)
    }
  }

  private static func missing(
    _ monitor: String, _ record: CheckpointRecord, _ policy: CheckpointPolicy
  ) -> String {
    let kept = "which keep-best ranks by; it is kept only as one of the newest"
    if record.metrics[monitor] != nil {
      return "metric '\(monitor)' of checkpoint \(record.name) is NaN, \(kept)"
    }
    let known = record.metrics.keys.sorted().joined(separator: ", ")
    // Between two validations, a checkpoint has no metric of one.
    let isAfterEach = if case .every = policy.epochs { true } else { false }
    return "checkpoint \(record.name) has no metric '\(monitor)', \(kept)"
      + (known.isEmpty ? "" : "; its metrics: \(known)")
      + (isAfterEach ? "" : "; for a metric of a validation, save after each one: --every-epochs 1")
  }

  /// For commands that show why a checkpoint is kept.
  func persistPolicies() {
    writer.submit([.document(StoredPolicies.document, StoredPolicies(core.state.policy))])
  }

  /// Applies the policies, also after they have changed.
  func prune() {
    for record in catalogue.prune(core.state.policy.policies) {
      publisher.read(record) { [mailbox] fault in mailbox.post(.read(record, fault: fault)) }
    }
  }
}
