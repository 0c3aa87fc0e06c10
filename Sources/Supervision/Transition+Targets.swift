import Vocabulary

// Saves at exact steps and at the ends of epochs: the request waits in the ring until the trainer gets there.
extension Transition {
  /// While a target is about to be reached, other requests wait for it.
  private var holdTime: Duration { .seconds(1) }
  private var holdInterval: Duration { .milliseconds(200) }

  /// Requests the next target, unless another request is open.
  mutating func armTarget() {
    guard state.phase == .running, let attempt = state.attempt, attempt.finishedStep == nil,
      state.request == nil, let target = nextTarget(savesAutomatically: savesEpochEnd)
    else { return }
    guard let slot = targetSlot else { return }
    post(.save, target: target, slot: slot)
  }

  /// The request for the first target of an attempt that is being started.
  mutating func firstRequest() -> FirstRequest? {
    guard state.stop == nil, let target = nextTarget(savesAutomatically: false), let slot = targetSlot else {
      return nil
    }
    state.lastSequence += 1
    state.slots[slot] = .empty
    state.request = State.Request(
      sequence: state.lastSequence, slot: slot, kind: .save, target: target, requestedAt: now.monotonic)
    return FirstRequest(sequence: state.lastSequence, slot: slot, target: target)
  }

  /// Before the first step, the slot for the initial state must stay free.
  private var targetSlot: Int? {
    guard state.attempt?.progress == nil, let initial = state.initialSlot else { return state.freeSlot }
    return state.freeSlots.first { $0 != initial }
  }

  private func nextTarget(savesAutomatically: Bool) -> SaveTarget? {
    guard let attempt = state.attempt, state.policy.isDurable else { return nil }
    let step = max(attempt.progress?.step ?? attempt.from.step, attempt.targetFloor)
    var target = SaveTargets.next(
      state.policy.policies, after: step, epochEnd: attempt.epochEnd, savesAutomatically: savesAutomatically)
    if attempt.ignoresEpochEnds { target?.everyEpochs = nil }
    return target?.step == nil && target?.everyEpochs == nil ? nil : target
  }

  // MARK: Ends of epochs that no policy counts

  /// Steps to the end of the epoch; nil: unknown.
  private var stepsToEpochEnd: UInt64? {
    guard let progress = state.attempt?.progress, let total = progress.batchesPerEpoch,
      progress.position.batch <= total
    else { return nil }
    return total - progress.position.batch
  }

  /// Whether the end of this epoch is saved without a policy that counts epochs: instead of the staging that would be
  /// due then, so that both together take no more time.
  private var savesEpochEnd: Bool {
    guard let attempt = state.attempt, attempt.progress != nil else { return false }
    let interval = state.schedule.stageInterval(state.policy)
    guard let steps = stepsToEpochEnd, let time = state.pace.usual(steps) else {
      // The length of the epoch is not known: other requests replace this one.
      let elapsed = now.monotonic - (state.schedule.stagedAt ?? .zero)
      return !attempt.hasEndedEpoch || elapsed >= interval / 2
    }
    let dueIn = state.schedule.nextStage(state.policy, now: now.monotonic) - now.monotonic
    return time >= dueIn && time <= dueIn + interval * 2
  }

  /// The disk must not be busy with ends of short epochs.
  var canAffordEpochEnd: Bool {
    let busy = (state.schedule.publishing ?? .zero) * 10
    return now.monotonic >= state.schedule.durableAt + max(.seconds(1), busy)
  }

  // MARK: Beside other requests

  /// Whether the open request will be answered so soon that nothing else is requested meanwhile.
  func isHeld(for target: SaveTarget) -> Bool {
    guard let progress = state.attempt?.progress else { return true }
    if let step = target.step {
      let left = step > progress.step ? step - progress.step : 0
      guard let time = state.pace.earliest(left) else { return left <= 16 }
      // The next step is the earliest at which another request could be answered.
      if left <= 1 || time <= holdTime { return true }
    }
    guard let every = target.everyEpochs, let left = stepsToEpochEnd, let time = state.pace.usual(left),
      (progress.position.epoch &+ 1) % max(1, every) == 0
    else { return false }
    let isCounted = state.policy.policies.contains { if case .every = $0.epochs { true } else { false } }
    // The next step is the earliest at which another request could be answered.
    if isCounted { return left <= 1 || time <= holdTime }
    return !state.publishNext && time <= state.schedule.stageInterval(state.policy) * 2
  }

  /// Called when a staging is due. The end of an epoch, if it is near, is saved instead.
  /// - Returns: whether it waits for a target.
  mutating func waitForTarget() -> Bool {
    if let target = state.request?.target {
      guard isHeld(for: target) else { return false }
    } else {
      guard !state.publishNext, state.request == nil, let slot = targetSlot,
        let target = nextTarget(savesAutomatically: savesEpochEnd), isHeld(for: target)
      else { return false }
      post(.save, target: target, slot: slot)
    }
    emit(.arm(.stage, at: now.monotonic + holdInterval))
    return true
  }

  // MARK: Answers

  /// Called when the state for `target` was saved.
  mutating func reached(_ target: SaveTarget, step: UInt64, completedEpochs: UInt64) {
    let policies = state.policy.policies
    let isStep = target.step.map { step >= $0 } ?? false
    if target.everyEpochs != nil, completedEpochs == 0, !isStep {
      // A client that saves at the next step: it is not asked again in this attempt.
      state.attempt?.ignoresEpochEnds = true
    }
    let lead = state.attempt?.lead ?? 0
    state.attempt?.lead = lead / 2
    state.attempt?.targetFloor = 0
    if completedEpochs > 0 {
      state.attempt?.savedEpochEnds &+= 1
      let comesValidation = target.epochEnd == .training && SaveTargets.hasBothEnds(policies)
      state.attempt?.hasEndedEpoch = true
      state.attempt?.epochEnd = comesValidation ? .validation : .training
    }
    let reasons = SaveTargets.reasons(
      policies, for: target, step: step, completedEpochs: completedEpochs, isAffordable: canAffordEpochEnd)
    if step > 0 { want(step, reasons) }
  }

  /// Publishes the state of `step` for these reasons with the next publication, or marks it if that has happened.
  private mutating func want(_ step: UInt64, _ reasons: Set<CheckpointReason>) {
    guard !reasons.isEmpty else { return }
    let policy = state.policy
    let wantsWeights = !policy.weightsReasons(reasons).isEmpty
    // The same state, for another reason.
    if state.savesWhole(step) || wantsWeights && state.savesWeights(step) { emit(.mark(step: step, reasons)) }
    let isComplete =
      (state.savesWhole(step) || !policy.needsWholeState(reasons))
      && (state.savesWeights(step) || !wantsWeights)
    if !isComplete { state.reasons.formUnion(reasons) }
  }

  /// The end of an epoch came after the answer to a request for it, at the same step: that state is of both.
  mutating func endedEpoch(_ sequence: UInt64, _ outcome: StageOutcome) {
    guard let request = state.attempt?.answered, request.sequence == sequence, let target = request.target,
      case .staged(let step, _, let completedEpochs) = outcome, completedEpochs > 0,
      state.slots[request.slot] == .complete(step: step)
    else { return }
    state.attempt?.answered = nil
    reached(target, step: step, completedEpochs: completedEpochs)
    if state.phase == .running, !state.reasons.isEmpty { publishNewest() }
  }

  /// For what an image of an earlier supervisor was saved that ended before it was published.
  /// - Parameter completedEpochs: the number, from 1, of the epoch at whose end it was saved; 0: elsewhere.
  func unpublishedReasons(completedEpochs: UInt64) -> Set<CheckpointReason> {
    guard let step = state.newestStaged?.step, step > 0, state.policy.isDurable else { return [] }
    let policies = state.policy.policies
    // If policies ask for both ends of an epoch, validation comes again, at the same step.
    let ends = policies.filter { $0.epochs != .none }.map(\.epochEnd)
    let end = ends.contains(.training) ? EpochEnd.training : .validation
    let reasons = SaveTargets.reasons(
      policies, for: SaveTarget(epochEnd: end), step: step, completedEpochs: completedEpochs,
      isAffordable: false)
    if step > state.durableStep { return reasons }
    return step > state.weightsStep ? state.policy.weightsReasons(reasons) : []
  }

  /// The trainer had passed the step before it saw the request, or no state could be saved.
  mutating func missed(_ target: SaveTarget, at step: UInt64?) {
    let now = max(step ?? 0, state.attempt?.progress?.step ?? 0)
    guard let wanted = target.step, wanted < now else { return }
    let lead = max(1, (state.attempt?.lead ?? 0) * 2)
    state.attempt?.lead = lead
    state.attempt?.targetFloor = now.addingReportingOverflow(lead).partialValue
    noteSkipped()
  }

  /// Steps up to the newest were made while no request was open: targets among them were passed.
  mutating func passTargets(since before: UInt64) {
    guard state.request?.target == nil, state.policy.isDurable, let step = state.attempt?.progress?.step,
      let next = SaveTargets.nextStep(state.policy.policies, after: before), next < step
    else { return }
    noteSkipped()
  }

  /// Looks for ends of epochs that policies count and at which nothing was saved.
  /// - Parameter ended: number of epochs that had ended at the last step but one that was reported: all answers that
  ///   came before it have been handled.
  mutating func passEpochEnds(before ended: UInt64) {
    guard let attempt = state.attempt, let looked = attempt.endedEpochs, ended >= looked else {
      state.attempt?.endedEpochs = ended
      state.attempt?.savedEpochEnds = 0
      return
    }
    guard ended > looked else { return }
    state.attempt?.endedEpochs = ended
    state.attempt?.savedEpochEnds = 0
    guard state.policy.isDurable, !attempt.ignoresEpochEnds else { return }
    for case .every(let count) in state.policy.policies.map(\.epochs)
    where ended / max(1, count) - looked / max(1, count) > attempt.savedEpochEnds {
      return noteSkipped()
    }
  }

  /// Called when the settings have changed.
  mutating func rearmTarget() {
    if state.request?.target != nil { cancelRequest() }
    armTarget()
  }

  /// Called when the trainer has finished: its final state may also be that of an epoch's end.
  mutating func noteLastEpoch() {
    guard let progress = state.attempt?.progress, stepsToEpochEnd == 0 else { return }
    for case .every(let count) in state.policy.policies.map(\.epochs)
    where (progress.position.epoch &+ 1) % max(1, count) == 0 {
      want(progress.step, [.epochs(count)])
    }
  }

  private mutating func noteSkipped() {
    state.skippedTargets &+= 1
    // Not for each: there may be many each second.
    if state.skippedTargets == 1 { note(.checkpointsSkipped(every: state.policy.shortestSteps ?? 0)) }
  }
}
