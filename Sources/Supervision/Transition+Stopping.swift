// From the stop signal to our exit, within the grace time.
//
//   0            ask for a save
//   saveBudget   stop waiting for it; TERM
//   …            the newest staged checkpoint is published meanwhile
//   killAt       KILL what is left
//   grace        leave, whatever is still under way
extension Transition {
  /// Kept back at the end for KILL, reaping and the last commit.
  private var reserve: Duration { min(.seconds(1), state.policy.grace / 10) }
  /// How long a trainer may take to leave once it was told to.
  private var leaving: Duration { min(.seconds(5), state.policy.grace / 5) }

  private var graceEndsAt: Duration { (state.stop?.requestedAt ?? now.monotonic) + state.policy.grace }

  private var saveDeadlineAt: Duration {
    let needed = state.schedule.publishing * 3 / 2 + leaving + reserve
    return max(graceEndsAt - needed, graceEndsAt - state.policy.grace * 3 / 4)
  }

  mutating func stopRequested() {
    if state.stop != nil { return hurry() }
    state.stop = State.Stop(requestedAt: now.monotonic)
    guard state.phase != .done else { return }
    note(.stopping(grace: state.policy.grace))
    emit(.arm(.graceEnd, at: graceEndsAt))
    switch state.phase {
    case .running:
      for kind in [TimerKind.stage, .durable, .hang] { emit(.disarm(kind)) }
      if state.attempt?.finishedStep != nil { return awaitLeaving() }
      // Without a step in this attempt the resume point is already the best state there is.
      guard let attempt = state.attempt, attempt.attached, attempt.progress != nil else { return terminate() }
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
      leave(state.ending ?? .stopped)
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
    if state.stop?.terminateSent == false, now.monotonic < graceEndsAt - reserve {
      terminate()
    } else {
      kill()
    }
  }

  mutating func graceEnd() {
    guard state.stop != nil, state.phase != .done else { return }
    if state.publication != nil { emit(.cancelPublishing) }
    if state.attempt != nil { emit(.signal(.kill)) }
    leave(state.ending ?? .stopped)
  }
}
