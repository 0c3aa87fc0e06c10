// From a cloud's notice to the machine's end. The trainer goes on until it must leave:
//
//   notice       stage and publish what there is
//   …            train on, staging as ever
//   leaveAt      a stop, as by a signal, that ends at the deadline
//   deadline     the machine goes
//
// A stop signal in between is obeyed as ever: whoever sends it knows better than the notice.
extension Transition {
  mutating func preemptionNoticed(_ notice: PreemptionNotice) {
    guard state.phase != .done else { return }
    var deadline = now.monotonic + notice.lead(at: now)
    // A source without a clock that says it again has not given more time.
    if notice.deadline == nil, let known = state.preemption { deadline = min(deadline, known.deadline) }
    let isNew = state.preemption?.notice != notice
    state.preemption = State.Preemption(
      notice: notice, deadline: deadline, lead: max(.zero, deadline - now.monotonic))
    if isNew { note(.preemptionNoticed(notice, lead: deadline - now.monotonic)) }
    if let stop = state.stop {
      return shortenStop(to: latestEnd(requestedAt: stop.requestedAt))
    }
    guard state.phase != .settling else { return }
    if isNew { stageAndPublish() }
    armLeaving()
  }

  /// An early warning: nothing is certain yet, so nothing is stopped.
  mutating func preemptionWarned(_ source: String, _ text: String) {
    guard state.phase != .done else { return }
    note(.preemptionWarned(source: source, text: text))
    if state.stop == nil { stageAndPublish() }
  }

  mutating func preemptionCancelled(_ event: String) {
    guard state.phase != .done, let preemption = state.preemption else { return }
    // A source may have several: the end of one says nothing of another.
    guard event.isEmpty || event == preemption.notice.event else { return }
    state.preemption = nil
    emit(.disarm(.preemption))
    note(.preemptionCancelled(source: preemption.notice.source))
    guard state.stop?.isByNotice == true else { return }
    switch state.phase {
    case .starting: forgetStop()
    case .settling where state.ending == .stopped:
      forgetStop()
      startAttempt()
    case .idle, .running, .saving, .terminating, .clearing, .backingOff, .settling, .done:
      break  // The trainer is on its way out; `cleared` starts it again.
    }
  }

  mutating func forgetStop() {
    state.stop = nil
    state.ending = nil
    emit(.disarm(.graceEnd))
  }

  /// The newest state there can be, made durable as soon as it can be.
  mutating func stageAndPublish() {
    switch state.phase {
    case .starting:
      state.publishNext = true
    case .running where state.attempt?.finishedStep != nil:
      // The state is the last one.
      publishNewest()
    case .running:
      state.publishNext = true
      if state.publication == nil || state.freeSlot != nil { requestStage() }
    case .backingOff:
      publishNewest()
    case .idle, .saving, .terminating, .clearing, .settling, .done:
      break
    }
  }

  // MARK: Leaving

  mutating func armLeaving() {
    guard let leaveAt else { return }
    emit(.arm(.preemption, at: max(now.monotonic, leaveAt)))
  }

  mutating func leavingDue() {
    guard state.stop == nil, state.phase != .idle, state.phase != .settling, let leaveAt else { return }
    // What publishing takes was measured again since the timer was armed.
    guard now.monotonic >= leaveAt else { return armLeaving() }
    beginStop(isByNotice: true)
  }

  /// When the trainer must begin to leave, so that its last state is durable before the deadline.
  var leaveAt: Duration? {
    guard let preemption = state.preemption else { return nil }
    guard state.attempt?.attached == true else {
      // What another program saves in its own way takes what the user gave it.
      return preemption.deadline - state.policy.grace
    }
    // Once for a step that has just begun. One pause that was long must not take all of the time.
    let step = min(state.longestPause ?? .zero, preemption.lead / 2)
    // Twice: another publication may have just begun. Guessed until the first one is measured.
    let publishing = (state.schedule.publishing ?? min(.seconds(5), preemption.lead / 4)) * 2
    let margin = min(.seconds(3), preemption.lead / 4)
    return preemption.deadline - step - (state.schedule.stall ?? .zero) - publishing - margin
  }
}
