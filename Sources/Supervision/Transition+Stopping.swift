// From a stop signal to the exit, within the grace time.
//
//   0            ask for a save
//   saveBudget   stop waiting for it; TERM
//   …            the newest staged checkpoint is published meanwhile
//   killAt       KILL what is left
//   grace        leave, whatever is still under way
extension Transition {
  /// What there is from the request to our exit.
  private var budget: Duration {
    guard let stop = state.stop else { return state.policy.grace }
    return stop.endsAt - stop.requestedAt
  }

  /// Kept back at the end for KILL, reaping and the last commit.
  private var reserve: Duration { min(.seconds(1), budget / 10) }
  /// How long a trainer may take to leave once it was told to.
  private var leaving: Duration { min(.seconds(5), budget / 5) }

  private var graceEndsAt: Duration { state.stop?.endsAt ?? now.monotonic + state.policy.grace }

  private var saveDeadlineAt: Duration {
    // Without a measurement, half of the time is for publishing. The trainer leaves meanwhile.
    let publishing = state.schedule.publishing.map { $0 * 3 / 2 } ?? budget / 2
    return max(graceEndsAt - max(publishing, leaving) - reserve, graceEndsAt - budget * 3 / 4)
  }

  /// The grace time, or what a notice leaves of it. A deadline that is over while we are still here is
  /// wrong: then there is no use in giving up at once.
  func latestEnd(requestedAt: Duration) -> Duration {
    let byGrace = requestedAt + state.policy.grace
    guard let preemption = state.preemption else { return byGrace }
    let isOver = preemption.deadline < now.monotonic + .seconds(1)
    return min(byGrace, isOver ? now.monotonic + .seconds(5) : preemption.deadline)
  }

  mutating func stopRequested() {
    guard let stop = state.stop else { return beginStop(isByNotice: false) }
    guard stop.isByNotice else { return hurry() }
    // The signal that the notice announced. What is under way goes on, within what is left.
    guard state.phase != .done else { return }
    state.stop?.isByNotice = false
    let end = min(stop.endsAt, latestEnd(requestedAt: now.monotonic))
    note(.stopping(grace: end - now.monotonic, isByNotice: false))
    shortenStop(to: end)
  }

  mutating func shortenStop(to end: Duration) {
    guard let stop = state.stop, end < stop.endsAt else { return }
    state.stop?.endsAt = end
    emit(.arm(.graceEnd, at: end))
    if state.phase == .saving { emit(.arm(.saveDeadline, at: saveDeadlineAt)) }
  }

  mutating func beginStop(isByNotice: Bool) {
    var endsAt = latestEnd(requestedAt: now.monotonic)
    if isByNotice, let preemption = state.preemption { endsAt = max(endsAt, preemption.deadline) }
    state.stop = State.Stop(requestedAt: now.monotonic, endsAt: endsAt, isByNotice: isByNotice)
    guard state.phase != .done else { return }
    note(.stopping(grace: budget, isByNotice: isByNotice))
    emit(.arm(.graceEnd, at: graceEndsAt))
    emit(.disarm(.preemption))
    switch state.phase {
    case .running:
      for kind in [TimerKind.stage, .durable, .hang] { emit(.disarm(kind)) }
      if state.attempt?.finishedStep != nil { return awaitLeaving() }
      // Without a step in this attempt the resume point is already the best state there is.
      guard let attempt = state.attempt, attempt.attached, attempt.progress != nil else { return terminate() }
      if let newest = state.newestStaged, newest.step > state.durableStep, let takes = saving,
        takes + reserve > budget
      {
        note(.saveTooLong(takes: takes, newest: newest.step))
        cancelRequest()
        return terminate()
      }
      state.phase = .saving
      emit(.arm(.saveDeadline, at: saveDeadlineAt))
      requestSave()
    case .backingOff:
      settle(.stopped)
    case .idle:
      settle(.stopped)
    case .starting, .saving, .terminating, .clearing, .settling, .done:
      break  // What is under way ends soon and sees `stop`.
    }
  }

  /// What a save and its publication take at least, as far as they were measured.
  private var saving: Duration? {
    guard let publishing = state.schedule.publishing else { return nil }
    // The one under way comes first.
    return (state.schedule.stall ?? .zero) + publishing * (state.publication == nil ? 1 : 2)
  }

  mutating func requestSave() { post(.saveAndLeave, deadline: saveDeadlineAt) }

  /// Asked again: without the save. Asked a third time: without anything.
  private mutating func hurry() {
    state.stop?.count += 1
    if state.stop?.count ?? 0 >= 3 { return graceEnd() }
    switch state.phase {
    case .saving:
      note(.hurrying)
      cancelRequest()
      kill()
    case .terminating:
      note(.hurrying)
      kill()
    case .settling:
      emit(.cancelPublishing)
      leaveUnpublished()
    case .idle, .starting, .running, .clearing, .backingOff, .done:
      break
    }
  }

  private mutating func cancelRequest() {
    guard let request = state.request else { return }
    state.lastSequence += 1
    emit(.request(.cancel, sequence: state.lastSequence, slot: request.slot, deadline: nil))
    state.request = nil
  }

  /// The trainer said it leaves, or has finished: TERM only if it does not.
  mutating func awaitLeaving() {
    state.phase = .terminating
    emit(.disarm(.saveDeadline))
    emit(.arm(.kill, at: min(now.monotonic + leaving, graceEndsAt - reserve)))
  }

  mutating func terminate() {
    state.phase = .terminating
    state.stop?.terminateSent = true
    emit(.disarm(.saveDeadline))
    emit(.signal(.terminate))
    // A program that does not speak the protocol may be saving in its own way: it has the whole time.
    let killAt = graceEndsAt - reserve
    let attached = state.attempt?.attached ?? false
    emit(.arm(.kill, at: attached ? min(now.monotonic + leaving, killAt) : killAt))
    publishNewest()
  }

  private mutating func kill() {
    state.phase = .terminating
    emit(.disarm(.saveDeadline))
    emit(.disarm(.kill))
    emit(.signal(.kill))
    publishNewest()
  }

  mutating func saveDeadline() {
    guard state.phase == .saving else { return }
    note(.saveTimedOut)
    cancelRequest()
    terminate()
  }

  mutating func killDue() {
    guard state.phase == .terminating else { return }
    // A hung trainer had its time: it is not asked to leave as well when a stop came meanwhile.
    let isHung = state.attempt?.hung ?? false
    if !isHung, state.stop?.terminateSent == false, now.monotonic < graceEndsAt - reserve {
      terminate()
    } else {
      kill()
    }
  }

  mutating func graceEnd() {
    guard state.stop != nil, state.phase != .done else { return }
    if state.publication != nil { emit(.cancelPublishing) }
    if state.attempt != nil { emit(.signal(.kill)) }
    state.attempt = nil
    leaveUnpublished()
  }

  /// A job whose final state is staged and not durable yet has not finished: the next start does that.
  private mutating func leaveUnpublished() {
    let ending = state.ending ?? .stopped
    leave(ending == .finished ? .stopped : ending)
  }
}
