// From a cloud's notice to the end of the machine. The trainer continues until it must exit:
//
//   notice             stage and publish the newest state
//   …                  training and staging continue
//   preemptionStopAt   a stop, as by a signal, that ends at the deadline
//   deadline           the machine is taken away
//
// A stop signal in between takes precedence over the notice.
extension Transition {
  mutating func preemptionNoticed(_ notice: PreemptionNotice) {
    guard state.phase != .done else { return }
    var deadline = now.monotonic + notice.lead(at: now)
    // A repeated notice from a source without a clock does not extend the deadline.
    if notice.deadline == nil, let known = state.preemption { deadline = min(deadline, known.deadline) }
    let isNew = state.preemption?.notice != notice
    state.preemption = State.Preemption(
      notice: notice, deadline: deadline, lead: max(.zero, deadline - now.monotonic))
    if isNew { note(.preemptionNoticed(notice, lead: deadline - now.monotonic)) }
    if let stop = state.stop {
      return shortenStop(to: latestEnd(requestedAt: stop.requestedAt))
    }
    guard state.phase != .settling else { return }
    if isNew { stageAndPublish(.preemption) }
    armPreemptionStop()
  }

  /// An early warning: saves, but stops nothing.
  mutating func preemptionWarned(_ source: String, _ text: String) {
    guard state.phase != .done else { return }
    note(.preemptionWarned(source: source, text: text))
    if state.stop == nil { stageAndPublish(.preemption) }
  }

  mutating func preemptionCancelled(_ event: String) {
    guard state.phase != .done, let preemption = state.preemption else { return }
    // A source may have several events; each is cancelled separately.
    guard event.isEmpty || event == preemption.notice.event else { return }
    state.preemption = nil
    emit(.disarm(.preemption))
    note(.preemptionCancelled(source: preemption.notice.source))
    guard state.stop?.isByNotice == true else { return }
    switch state.phase {
    case .starting: clearStop()
    case .settling where state.ending == .stopped:
      clearStop()
      startAttempt()
    case .idle, .running, .saving, .terminating, .clearing, .backingOff, .settling, .done:
      break  // The trainer is exiting; `cleared` starts the next attempt.
    }
  }

  mutating func clearStop() {
    state.stop = nil
    state.ending = nil
    state.reasons.remove(.stop)
    emit(.disarm(.graceEnd))
  }

  /// Stages the newest state and publishes it as soon as possible.
  mutating func stageAndPublish(_ reason: CheckpointReason) {
    switch state.phase {
    case .starting:
      state.publishNext = true
      state.reasons.insert(reason)
    case .running where state.attempt?.finishedStep != nil:
      // There will be no newer state.
      publishNewest(reason)
    case .running:
      state.publishNext = true
      state.reasons.insert(reason)
      if state.publication == nil || state.freeSlot != nil { requestStage() }
    case .backingOff:
      publishNewest(reason)
    case .idle, .saving, .terminating, .clearing, .settling, .done:
      break
    }
  }

  // MARK: Stopping before the deadline

  mutating func armPreemptionStop() {
    guard let preemptionStopAt else { return }
    emit(.arm(.preemption, at: max(now.monotonic, preemptionStopAt)))
  }

  mutating func preemptionStopDue() {
    guard state.stop == nil, state.phase != .idle, state.phase != .settling, let preemptionStopAt
    else { return }
    // The duration of a publication was measured again since the timer was armed.
    guard now.monotonic >= preemptionStopAt else { return armPreemptionStop() }
    beginStop(isByNotice: true)
  }

  /// When the trainer must be stopped, so that its last state is durable before the deadline.
  var preemptionStopAt: Duration? {
    guard let preemption = state.preemption else { return nil }
    guard state.attempt?.attached == true else {
      // A program without the protocol saves in its own way: it has the grace time.
      return preemption.deadline - state.policy.grace
    }
    // For a step that has just begun. Limited, so that one long pause does not use up all of the time.
    let step = min(state.longestPause ?? .zero, preemption.lead / 2)
    // Twice, since another publication may have just begun. An estimate until the first one is measured.
    let publishing = (state.schedule.publishing ?? min(.seconds(5), preemption.lead / 4)) * 2
    let margin = min(.seconds(3), preemption.lead / 4)
    return preemption.deadline - step - (state.schedule.stall ?? .zero) - publishing - margin
  }
}
