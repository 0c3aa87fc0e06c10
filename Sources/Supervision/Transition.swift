import Vocabulary

/// The supervisor's decision function: the next state and the actions when `event` happens at `now` in `state`.
/// Pure and total: an event without meaning in a phase changes nothing.
public func transition(_ state: State, _ event: Event, at now: Moment) -> (State, [Action]) {
  var next = Transition(state: state, now: now)
  next.apply(event)
  return (next.state, next.actions)
}

/// The state and actions of a transition in progress.
struct Transition {
  var state: State
  let now: Moment
  var actions: [Action] = []

  init(state: State, now: Moment) {
    self.state = state
    self.now = now
  }

  mutating func emit(_ action: Action) { actions.append(action) }
  mutating func note(_ note: Note) { actions.append(.note(note)) }

  // Each handler decides by phase.
  mutating func apply(_ event: Event) {
    switch event {
    case .begin(let remains): begin(remains)
    case .started: started()
    case .startFailed(let failure): startFailed(failure)
    case .attached(let offersStacks): attached(offersStacks)
    case .stepped(let progress): stepped(progress)
    case .heartbeat: state.attempt?.aliveAt = now.monotonic
    case .answered(let sequence, let outcome): answered(sequence, outcome)
    case .finished(let step, let slot): finished(step, slot)
    case .published(let slot, let step, let took): published(slot, step, took)
    case .adopted(let number): adopted(number)
    case .publishFailed(let slot, let step, let isDamaged): publishFailed(slot, step, isDamaged)
    case .exited(let status, let outOfMemory, let restoring): exited(status, outOfMemory, restoring)
    case .resumePointDamaged(let replacement): resumePointDamaged(replacement)
    case .resumePointChosen(let point): resumePointChosen(point)
    case .loadedDamagedPoint: loadedDamagedPoint()
    case .stagedInitially(let slot, let outcome): stagedInitially(slot, outcome)
    case .cleared(let remains): cleared(remains)
    case .timer(let kind): fired(kind)
    case .stopRequested: stopRequested()
    case .checkpointRequested: checkpointRequested()
    case .preemptionNotice(let notice): preemptionNoticed(notice)
    case .preemptionWarning(let source, let text): preemptionWarned(source, text)
    case .preemptionCancelled(let event): preemptionCancelled(event)
    case .policyChanged(let policy): policyChanged(policy)
    }
  }

  mutating func fired(_ timer: TimerKind) {
    switch timer {
    case .stage: if state.phase == .running { requestStage() }
    case .durable: durableDue()
    case .hang: checkHang()
    case .saveDeadline: saveDeadline()
    case .kill: killDue()
    case .graceEnd: graceEnd()
    case .backoff: if state.phase == .backingOff { backoffEnded() }
    case .preemption: preemptionStopDue()
    }
  }

  // MARK: Starting

  mutating func begin(_ remains: Remains) {
    guard state.phase == .idle else { return }
    state.slots = remains.slots
    if state.standing.gaveUp {
      // Started again by the user: with a full budget.
      state.standing.gaveUp = false
      state.standing.stalls = 0
      state.standing.deathTally = nil
      state.standing.failureTally = nil
      state.standing.restoreDeaths = nil
    }
    state.resume = remains.resume
    state.reasons.formUnion(unpublishedReasons(completedEpochs: remains.completedEpochs))
    startAttempt()
  }

  mutating func startAttempt() {
    state.phase = .starting
    state.standing.attempt += 1
    state.attempt = State.Attempt(from: state.resume, aliveAt: now.monotonic)
    state.request = nil
    state.offered = nil
    state.startWaits = false
    persistStanding()
    emit(
      .start(
        attempt: state.standing.attempt, from: state.resume, skips: state.standing.skips,
        request: firstRequest()))
  }

  mutating func started() {
    guard state.phase == .starting else { return }
    state.startedOnce = true
    state.attempt?.aliveAt = now.monotonic
    if state.stop != nil {
      terminate()
    } else {
      state.phase = .running
      if !state.reasons.isEmpty { publishNewest() }
      armTarget()
      armHang()
      armPreemptionStop()
    }
  }

  mutating func startFailed(_ failure: StartFailure) {
    guard state.phase == .starting else { return }
    note(.startFailed(failure))
    state.attempt = nil
    state.request = nil
    if state.stop != nil { return settle(.stopped) }
    guard state.startedOnce || failure.isTransient else {
      switch failure {
      case .notFound: return settle(.commandNotFound)
      case .notExecutable: return settle(.commandNotExecutable)
      case .noRoom, .other: return settle(.cannotStart)
      }
    }
    // It started before (an upgrade in progress, a full tmpfs), or the system lacked a resource: retry within the
    // budget.
    follow(progressed: false)
  }

  /// Applies the restart policy after an attempt that did not finish.
  /// - Parameter repeats: many attempts in a row failed in the same way, without a new step.
  mutating func follow(progressed: Bool, repeats: Bool = false) {
    let verdict = RestartPolicy.judge(
      &state.standing, progressed: progressed, repeats: repeats, maxStalls: state.policy.maxStalls)
    switch verdict {
    case .restart:
      startAttempt()
    case .backOff(let pause):
      state.phase = .backingOff
      persistStanding()
      note(.backingOff(pause, stalls: state.standing.stalls))
      emit(.arm(.backoff, at: now.monotonic + pause))
    case .giveUp:
      state.standing.gaveUp = true
      note(.gaveUp(state.resume, state.standing))
      settle(.gaveUp)
    }
  }

  mutating func persistStanding() {
    let undurable = max(.zero, now.monotonic - state.schedule.durableAt)
    state.standing.undurableSeconds = undurable / .seconds(1)
    emit(.persistStanding)
  }

  // MARK: Ending

  mutating func exited(_ status: ExitStatus, _ outOfMemory: Bool, _ restoring: Bool) {
    switch state.phase {
    case .running, .saving, .terminating:
      if restoring { diedRestoring(status) }
      state.attempt?.exit = status
      state.attempt?.ranOutOfMemory = outOfMemory
      state.phase = .clearing
      for kind in [TimerKind.stage, .hang, .saveDeadline, .kill] { emit(.disarm(kind)) }
      emit(.clear)
    case .idle, .starting, .clearing, .backingOff, .settling, .done:
      break
    }
  }

  mutating func cleared(_ remains: Remains) {
    guard state.phase == .clearing, let attempt = state.attempt, let exit = attempt.exit else { return }
    state.slots = remains.slots
    state.request = nil
    state.stageIsWaiting = false
    state.resume = remains.resume
    state.attempt = nil
    pruneRestoreDeaths()
    let progressed = remains.resume.step > attempt.from.step
    if let finished = attempt.finishedStep, remains.resume.step >= finished {
      state.standing.completedStep = finished
    } else if let completed = state.standing.completedStep, remains.resume.step != completed {
      state.standing.completedStep = nil
    }
    // An interrupt by a person stays in effect if the notice is cancelled.
    if exit.isInterrupt { state.stop?.isByNotice = false }
    let cause = cause(of: attempt, exit)
    note(.attemptEnded(exit, cause, progressed: progressed))
    if cause == .finished { return settleFinished(attempt) }
    if let stop = state.stop {
      guard stop.isByNotice, state.preemption == nil else { return settle(.stopped) }
      // The notice was cancelled while the trainer exited.
      clearStop()
      return startAttempt()
    }
    // This stop has no deadline: what is staged is made durable however long that takes, unless the supervisor gets a
    // signal. The interrupt does not count as a death in a batch either.
    if cause == .keyboardInterrupt { return settle(.stopped) }
    // The attempt did not fail: its resume point was damaged.
    if attempt.loadedDamagedPoint { return startAttempt() }
    // The next failure may be that of the machine.
    publishNewest(.failure)
    // The loop is complete, so no batch is to blame.
    if attempt.finishedStep == nil {
      let tallied = RestartPolicy.tally(
        &state.standing, progress: remains.progress, skipAfter: state.policy.skipBatchAfter)
      for one in tallied { note(one) }
    }
    let repeats = RestartPolicy.tally(&state.standing, failure: remains.failure, furthest: remains.furthest)
    if let repeats { note(.repeatsFailure(repeats)) }
    follow(progressed: progressed, repeats: repeats != nil)
  }

  func cause(of attempt: State.Attempt, _ exit: ExitStatus) -> Cause {
    // Work after the loop belongs to the job: a failed export is not a success.
    if attempt.finishedStep != nil, exit == .exited(0) { return .finished }
    // A program without the protocol has finished when it exits with status 0, unless it was stopped.
    if exit == .exited(0), !attempt.attached, state.stop == nil { return .finished }
    if attempt.hung { return .hang }
    if let stop = state.stop { return stop.isByNotice || state.preemption != nil ? .preempted : .stopped }
    if attempt.ranOutOfMemory { return .oomKilled }
    if exit.isInterrupt { return .keyboardInterrupt }
    switch exit {
    case .exited(0): return .incomplete
    case .exited: return .crashed
    case .signaled(15): return .terminated
    case .signaled(9): return .killed
    case .signaled: return .crashed
    }
  }

  /// A final state that is not in a checkpoint is not a success: once there is space, the job is run again from its
  /// resume point.
  private mutating func settleFinished(_ attempt: State.Attempt) {
    if let step = attempt.finishedStep, state.resume.step < step {
      note(.finalStateLost(step: step))
      return settle(.finalStateNotDurable)
    }
    settle(.finished)
  }

  /// Makes the newest state durable, then ends.
  mutating func settle(_ ending: Ending) {
    state.phase = .settling
    state.ending = ending
    for kind in TimerKind.allCases where kind != .graceEnd { emit(.disarm(kind)) }
    // The final state may have been published for another reason.
    let newest = state.newestStaged?.step ?? state.durableStep
    if ending == .finished, newest > 0, state.savesWhole(newest) {
      emit(.mark(step: newest, [.finish]))
    }
    if state.publication == nil { publishNewestOrEnd() }
  }

  mutating func publishNewestOrEnd() {
    guard state.publication == nil, let ending = state.ending else { return }
    if let newest = state.newestStaged, newest.step > state.durableStep || needsWeights(newest.step),
      state.policy.isDurable
    {
      state.reasons.insert(ending == .finished ? .finish : ending == .stopped ? .stop : .failure)
      publish(newest)
    } else {
      end(ending)
    }
  }

  mutating func end(_ ending: Ending) {
    guard state.phase != .done else { return }
    state.phase = .done
    state.ending = ending
    persistStanding()
    if let stop = state.stop, let preemption = state.preemption {
      note(.preemptionSurvived(step: state.durableStep, spare: preemption.deadline - now.monotonic))
      let isDurable = state.newestStaged?.step ?? 0 <= state.durableStep
      // After a signal the machine is going down already. After an acknowledgement it may go down at once, so
      // all must be durable first.
      if stop.isByNotice, isDurable, preemption.notice.wantsAcknowledgement {
        emit(.acknowledge(preemption.notice))
      }
    }
    emit(.end(ending))
  }
}
