import Vocabulary

// While a trainer runs: steps, requests, checkpoints, hangs.
extension Transition {
  mutating func attached(_ offersStacks: Bool) {
    guard let attempt = state.attempt else { return }
    state.attempt?.attached = true
    state.attempt?.offersStacks = offersStacks
    state.attempt?.aliveAt = now.monotonic
    offer()
    // The event may be repeated with more details.
    if state.phase == .running, !attempt.attached { armHang() }
  }

  mutating func stepped(_ progress: Progress) {
    guard let attempt = state.attempt else { return }
    let isFirst = attempt.progress == nil
    if !isFirst {
      let pause = now.monotonic - attempt.aliveAt
      state.longestPause = max(pause, state.longestPause ?? .zero)
    }
    if let before = attempt.progress?.step, progress.step > before {
      state.pace.add(steps: progress.step - before, in: now.monotonic - attempt.steppedAt)
    }
    if let before = attempt.progress { passEpochEnds(before: before.position.epoch) }
    state.attempt?.steppedAt = now.monotonic
    state.attempt?.progress = progress
    if let before = attempt.progress?.step { passTargets(since: before) }
    state.attempt?.aliveAt = now.monotonic
    if let finished = attempt.finishedStep, progress.step > finished { continueAfterFinish() }
    guard state.phase == .running else { return }
    if isFirst {
      emit(.arm(.stage, at: state.schedule.nextStage(state.policy, now: now.monotonic)))
      emit(.arm(.durable, at: max(now.monotonic, state.schedule.nextDurable(state.policy))))
    }
    armTarget()
    // The limit changes with the first step. `auto` has one only after the second.
    if isFirst || state.policy.stepTimeout == .auto && !attempt.hangIsArmed { armHang() }
  }

  // MARK: Staging

  mutating func offer() {
    guard state.attempt?.attached == true else { return }
    // An offered slot may be filled at any moment, so it is offered only while no request is open, or one for later:
    // the trainer fills its slot once, at the requested moment or when it finishes.
    let slot = state.request.map { $0.target == nil ? nil : $0.slot } ?? state.freeSlot
    guard slot != state.offered else { return }
    state.offered = slot
    emit(.offer(slot: slot))
  }

  mutating func requestStage() {
    guard let attempt = state.attempt, attempt.attached, attempt.finishedStep == nil,
      let progress = attempt.progress, state.request == nil || state.request?.target != nil
    else { return repeatRequest() }
    if waitForTarget() { return }
    if let newest = state.newestStaged, newest.step == progress.step, attempt.stagedOnce {
      // No step since: there is nothing new to stage.
      if state.publishNext, newest.step > state.durableStep { publishNewest() }
      return emit(.arm(.stage, at: now.monotonic + state.schedule.stageInterval(state.policy)))
    }
    post(.save, deadline: nil)
  }

  /// Requests the state of the next step. A request for later is replaced.
  mutating func post(_ kind: RequestKind, deadline: Duration?) {
    guard let slot = state.request?.slot ?? state.freeSlot else {
      state.stageIsWaiting = true
      return
    }
    state.stageIsWaiting = false
    post(kind, slot: slot, deadline: deadline)
    // While a request is open no staging is due: the timer limits the wait for the answer.
    if kind == .save { emit(.arm(.stage, at: now.monotonic + answerTimeout)) }
  }

  mutating func post(_ kind: RequestKind, target: SaveTarget? = nil, slot: Int, deadline: Duration? = nil) {
    state.lastSequence += 1
    state.slots[slot] = .empty
    state.request = State.Request(
      sequence: state.lastSequence, slot: slot, kind: kind, target: target, requestedAt: now.monotonic)
    offer()
    emit(
      .request(kind, sequence: state.lastSequence, slot: slot, target: target, deadline: deadline))
  }

  /// How long an answer may take. A trainer may validate first.
  private var answerTimeout: Duration {
    let pause = max(Schedule.answerTimeout, (state.longestPause ?? .zero) * 4)
    let doublings = min((state.request?.count ?? 1) - 1, 4)
    return pause * (1 << doublings)
  }

  /// The request was not answered in time: the answer was lost, or the trainer cannot save now. The trainer answers
  /// only the newest request, so a repetition costs nothing.
  private mutating func repeatRequest() {
    guard var request = state.request, request.kind == .save, request.target == nil,
      state.attempt?.finishedStep == nil,
      now.monotonic >= request.requestedAt + Schedule.answerTimeout
    else { return }
    note(.saveUnanswered(after: now.monotonic - request.requestedAt))
    state.lastSequence += 1
    request.sequence = state.lastSequence
    request.count += 1
    state.request = request
    emit(.request(.save, sequence: request.sequence, slot: request.slot, deadline: nil))
    emit(.arm(.stage, at: now.monotonic + answerTimeout))
  }

  /// The state before the first step: an attempt that dies early is resumed from it instead of a new random one.
  mutating func stagedInitially(_ slot: Int, _ outcome: StageOutcome) {
    guard state.attempt != nil, state.slots.indices.contains(slot), state.slots[slot] == .empty,
      slot != state.request?.slot, slot != state.publication?.slot
    else { return }
    switch outcome {
    case .staged(let step, let stall, _):
      state.slots[slot] = .complete(step: step)
      state.schedule.measured(stall: stall)
    case .failed(let errno): stageFailed(errno)
    case .missed:
      break
    }
    offer()
  }

  private mutating func stageFailed(_ errno: Int32) {
    if !state.stageIsFailing { note(.stageFailed(errno: errno)) }
    state.stageIsFailing = true
  }

  mutating func answered(_ sequence: UInt64, _ outcome: StageOutcome) {
    guard let request = state.request, request.sequence == sequence else {
      return endedEpoch(sequence, outcome)
    }
    state.request = nil
    switch outcome {
    case .staged(let step, let stall, let completedEpochs):
      state.attempt?.answered = request
      state.slots[request.slot] = .complete(step: step)
      // A new image: deaths of the earlier one at this step do not count.
      state.standing.restoreDeaths?.removeAll { $0.point == .checkpoint(level: .staged, step: step) }
      state.schedule.staged(stall: stall, at: now.monotonic)
      state.attempt?.stagedOnce = true
      if state.stageIsFailing {
        state.stageIsFailing = false
        note(.stageRecovered)
      }
      if state.phase == .saving { note(.saveAnswered(step: step)) }
      // A request for the next step may be answered at a target, too.
      reached(request.target ?? SaveTarget(), step: step, completedEpochs: completedEpochs)
      // Steps that were reported together with the answer.
      if request.target != nil { passTargets(since: step) }
    case .failed(let errno): stageFailed(errno)
    case .missed(let step):
      if let target = request.target { missed(target, at: step) }
    }
    offer()
    switch state.phase {
    case .running:
      emit(.arm(.stage, at: now.monotonic + state.schedule.stageInterval(state.policy)))
      if state.publishNext || !state.reasons.isEmpty
        || now.monotonic >= state.schedule.nextDurable(state.policy)
      {
        publishNewest()
      }
      armTarget()
    case .saving:
      publishNewest(.stop)
      if case .staged = outcome { awaitExit() } else { terminate() }
    case .idle, .starting, .terminating, .clearing, .backingOff, .settling, .done:
      break
    }
  }

  mutating func finished(_ step: UInt64, _ slot: Int?) {
    guard let attempt = state.attempt else { return }
    if let slot, state.slots.indices.contains(slot) { state.slots[slot] = .complete(step: step) }
    // Steps that were drained together with it came after it.
    if let progress = attempt.progress, progress.step > step { return offer() }
    state.attempt?.finishedStep = step
    noteLastEpoch()
    // The trainer may still evaluate or export: no more requests, no hang.
    state.request = nil
    emit(.disarm(.stage))
    emit(.disarm(.hang))
    if state.phase == .saving { awaitExit() }
    // The trainer may want to use that checkpoint now.
    if state.phase == .running, !state.reasons.isEmpty { publishNewest() }
  }

  /// A step after the reported end: only a part of the program was complete, for example one of several fits.
  private mutating func continueAfterFinish() {
    state.attempt?.finishedStep = nil
    guard state.phase == .running else { return }
    offer()
    armTarget()
    emit(.arm(.stage, at: now.monotonic + state.schedule.stageInterval(state.policy)))
    armHang()
  }

  // MARK: Publishing

  mutating func durableDue() {
    guard state.phase == .running || state.phase == .backingOff, state.policy.isDurable else { return }
    // The last publication before a preemption must not wait for this one.
    if let preemptionStopAt, now.monotonic + (state.schedule.publishing ?? .zero) > preemptionStopAt {
      return
    }
    if let newest = state.newestStaged, newest.step > state.durableStep {
      publishNewest()
    } else {
      state.publishNext = true
      requestStage()
    }
  }

  /// - Parameter reason: nil: one that was noted before, or that a checkpoint is due.
  mutating func publishNewest(_ reason: CheckpointReason? = nil) {
    guard let newest = state.newestStaged, newest.step > state.durableStep || needsWeights(newest.step),
      state.policy.isDurable || reason == .request || state.reasons.contains(.request)
    else { return }
    if let publication = state.publication, publication.step == newest.step, state.publishesWholeState {
      if let reason { emit(.mark(step: newest.step, [reason])) }
      return
    }
    if let reason, newest.step > state.durableStep { state.reasons.insert(reason) }
    // Otherwise it follows the one in progress.
    if state.publication == nil { publish(newest) }
  }

  mutating func publish(_ publication: State.Publication) {
    var reasons = state.reasons
    if publication.step > state.durableStep {
      let isDue = state.publishNext || now.monotonic >= state.schedule.nextDurable(state.policy)
      reasons = dueReasons()
      // The timer may be ahead of the wall clock, by which intervals are counted.
      if isDue, !state.policy.needsWholeState(reasons) {
        reasons.insert(.interval(state.policy.durableInterval))
      }
    } else {
      reasons = state.policy.weightsReasons(reasons)
    }
    state.publishNext = false
    state.publication = publication
    state.publishesWholeState =
      publication.step > state.durableStep && state.policy.needsWholeState(reasons)
    state.publishesWeights =
      publication.step > state.weightsStep && !state.policy.weightsReasons(reasons).isEmpty
    offer()
    emit(.publish(slot: publication.slot, step: publication.step, reasons))
    state.reasons = []
  }

  /// Whether weights of this step are wanted that are not durable.
  func needsWeights(_ step: UInt64) -> Bool {
    step > state.weightsStep && !state.policy.weightsReasons(state.reasons).isEmpty
  }

  /// The reasons noted so far, and the intervals that are over.
  private mutating func dueReasons() -> Set<CheckpointReason> {
    var reasons = state.reasons
    let wall = now.wall / .seconds(1)
    for interval in Set(state.policy.policies.compactMap(\.interval)) {
      let reason = CheckpointReason.interval(interval)
      let last = state.standing.intervalsWallSeconds?[reason.word]
      // The clock may have been set back. Without a checkpoint so far, the interval begins with this one.
      let isOver = last.map { wall < $0 || wall - $0 >= interval / .seconds(1) } ?? false
      guard isOver || last == nil else { continue }
      state.standing.intervalsWallSeconds = (state.standing.intervalsWallSeconds ?? [:])
      state.standing.intervalsWallSeconds?[reason.word] = wall
      if isOver { reasons.insert(reason) }
    }
    return reasons.isEmpty ? [.interval(state.policy.durableInterval)] : reasons
  }

  mutating func published(_ slot: Int, _ step: UInt64, _ took: Duration) {
    guard state.publication == .init(slot: slot, step: step) else { return }
    state.publication = nil
    if state.publishesWeights { state.weightsStep = max(state.weightsStep, step) }
    if state.publishesWholeState {
      state.durableStep = max(state.durableStep, step)
      state.schedule.durableAt = now.monotonic
      state.schedule.publishing = took
      state.standing.publishingSeconds = took / .seconds(1)
      state.standing.lastDurableWallSeconds = now.wall / .seconds(1)
    }
    persistStanding()
    publicationEnded(retryAfter: untilDurable)
    if state.stop == nil, state.phase != .settling { armPreemptionStop() }
    // A newer one may have been staged meanwhile, and this attempt stages no more.
    if state.phase == .terminating { publishNewest(endReason) }
  }

  mutating func adopted(_ number: UInt64) {
    guard state.phase != .done else { return }
    state.durableStep = max(state.durableStep, number)
    state.schedule.durableAt = now.monotonic
    state.standing.lastDurableWallSeconds = now.wall / .seconds(1)
    persistStanding()
  }

  mutating func publishFailed(_ slot: Int, _ step: UInt64, _ isDamaged: Bool) {
    guard state.publication == .init(slot: slot, step: step) else { return }
    state.publication = nil
    if isDamaged { state.slots[slot] = .empty }
    // Without the whole state there is nothing that an end could lack.
    if state.phase == .settling, state.publishesWholeState {
      // The other slot may contain an older state, which is better than none.
      if isDamaged, state.ending != .finished { return publishNewestOrEnd() }
      return end(state.ending == .finished ? .finalStateNotDurable : state.ending ?? .stopped)
    }
    publicationEnded(
      retryAfter: state.publishesWholeState ? min(.seconds(30), state.policy.durableInterval) : untilDurable)
  }

  private var untilDurable: Duration {
    max(.zero, state.schedule.nextDurable(state.policy) - now.monotonic)
  }

  private mutating func publicationEnded(retryAfter pause: Duration) {
    offer()
    switch state.phase {
    case .running, .backingOff:
      emit(.arm(.durable, at: now.monotonic + pause))
      publishForReasons()
      if state.phase == .running, state.stageIsWaiting || state.publishNext { requestStage() }
      armTarget()
      if state.phase == .backingOff, state.startWaits {
        emit(.disarm(.backoff))
        startAttempt()
      }
    case .starting:
      publishForReasons()
    case .saving:
      if state.request == nil, state.stageIsWaiting { requestSave() }
    case .settling:
      publishNewestOrEnd()
    case .idle, .terminating, .clearing, .done:
      break
    }
  }

  /// A state for an exact moment was staged meanwhile, or an attempt failed.
  private mutating func publishForReasons() {
    if !state.reasons.isEmpty, !state.publishNext { publishNewest() }
  }

  mutating func checkpointRequested() {
    switch state.phase {
    case .running where state.attempt?.finishedStep == nil:
      guard let attempt = state.attempt, attempt.attached, attempt.progress != nil else {
        return note(.checkpointUnavailable)
      }
      stageAndPublish(.request)
    case .running, .backingOff:
      if state.newestStaged?.step ?? 0 > state.durableStep {
        publishNewest(.request)
      } else {
        note(.checkpointUnavailable)
      }
    case .idle, .starting, .saving, .terminating, .clearing, .settling, .done:
      note(.checkpointUnavailable)
    }
  }

  // MARK: Hangs

  private var hangTimeout: Duration? {
    guard let attempt = state.attempt, attempt.finishedStep == nil else { return nil }
    return HangPolicy.timeout(
      state.policy.stepTimeout, usesProtocol: attempt.attached || attempt.progress != nil,
      stepped: attempt.progress != nil, longestPause: state.longestPause)
  }

  /// The timer is not armed at each step, but again when it fires before the deadline.
  mutating func armHang() {
    guard let timeout = hangTimeout, let aliveAt = state.attempt?.aliveAt else { return }
    state.attempt?.hangIsArmed = true
    emit(.arm(.hang, at: aliveAt + timeout))
  }

  mutating func checkHang() {
    guard state.phase == .running, let attempt = state.attempt, let timeout = hangTimeout else { return }
    guard now.monotonic >= attempt.aliveAt + timeout else { return armHang() }
    state.attempt?.hung = true
    state.phase = .terminating
    note(.hung(after: now.monotonic - attempt.aliveAt))
    emit(.disarm(.stage))
    guard attempt.offersStacks else { return emit(.signal(.kill)) }
    emit(.signal(.stacks))
    emit(.arm(.kill, at: now.monotonic + HangPolicy.stacksTime))
  }
}
