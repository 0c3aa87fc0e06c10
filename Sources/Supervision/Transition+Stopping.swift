// From a stop signal to the exit, within the grace time.
//
//   0                request a save
//   saveDeadlineAt   stop waiting for it; SIGTERM
//   …                the newest staged checkpoint is published meanwhile
//   killAt           SIGKILL to what is left
//   graceEndsAt      exit, even if something is still in progress
extension Transition {
  /// Time from the request to the supervisor's exit.
  private var budget: Duration {
    guard let stop = state.stop else { return state.policy.grace }
    return stop.endsAt - stop.requestedAt
  }

  /// Reserved at the end for SIGKILL, reaping and the last commit.
  private var reserve: Duration { min(.seconds(1), budget / 10) }
  /// How long a trainer may take to exit after the request.
  private var exitTimeout: Duration { min(.seconds(5), budget / 5) }

  private var graceEndsAt: Duration { state.stop?.endsAt ?? now.monotonic + state.policy.grace }

  private var saveDeadlineAt: Duration {
    // Without a measurement, half of the time is for publishing. The trainer exits meanwhile.
    let publishing = state.schedule.publishing.map { $0 * 3 / 2 } ?? budget / 2
    return max(graceEndsAt - max(publishing, exitTimeout) - reserve, graceEndsAt - budget * 3 / 4)
  }

  /// The end of the grace time, or the deadline of a notice if that is earlier. A deadline that has passed while this
  /// machine still runs is wrong, so a few seconds are allowed then.
  func latestEnd(requestedAt: Duration) -> Duration {
    let byGrace = requestedAt + state.policy.grace
    guard let preemption = state.preemption else { return byGrace }
    let isOver = preemption.deadline < now.monotonic + .seconds(1)
    return min(byGrace, isOver ? now.monotonic + .seconds(5) : preemption.deadline)
  }

  mutating func stopRequested() {
    guard let stop = state.stop else { return beginStop(isByNotice: false) }
    guard stop.isByNotice else { return hurry() }
    // The signal that the notice announced: the stop in progress continues, within the time left.
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
      if state.attempt?.finishedStep != nil { return awaitExit() }
      // Without a step in this attempt there is no newer state than the resume point.
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
      break  // The current phase ends soon and then checks `stop`.
    }
  }

  /// Least duration of a save and its publication; nil: not measured.
  private var saving: Duration? {
    guard let publishing = state.schedule.publishing else { return nil }
    // A running publication comes first.
    return (state.schedule.stall ?? .zero) + publishing * (state.publication == nil ? 1 : 2)
  }

  mutating func requestSave() { post(.saveAndLeave, deadline: saveDeadlineAt) }

  /// A second request skips the save; a third ends everything at once.
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
      endUnpublished()
    case .idle, .starting, .running, .clearing, .backingOff, .done:
      break
    }
  }

  /// Why the last state of an attempt is published.
  var endReason: CheckpointReason { state.stop == nil ? .failure : .stop }

  mutating func cancelRequest() {
    guard let request = state.request else { return }
    state.lastSequence += 1
    emit(.request(.cancel, sequence: state.lastSequence, slot: request.slot, deadline: nil))
    state.request = nil
  }

  /// The trainer reported that it exits, or has finished: SIGTERM only if it does not exit.
  mutating func awaitExit() {
    state.phase = .terminating
    emit(.disarm(.saveDeadline))
    emit(.arm(.kill, at: min(now.monotonic + exitTimeout, graceEndsAt - reserve)))
  }

  mutating func terminate() {
    state.phase = .terminating
    state.stop?.terminateSent = true
    emit(.disarm(.saveDeadline))
    emit(.signal(.terminate))
    // A program without the protocol may be saving in its own way: it has the whole time.
    let killAt = graceEndsAt - reserve
    let attached = state.attempt?.attached ?? false
    emit(.arm(.kill, at: attached ? min(now.monotonic + exitTimeout, killAt) : killAt))
    publishNewest(endReason)
  }

  private mutating func kill() {
    state.phase = .terminating
    emit(.disarm(.saveDeadline))
    emit(.disarm(.kill))
    emit(.signal(.kill))
    publishNewest(endReason)
  }

  mutating func saveDeadline() {
    guard state.phase == .saving else { return }
    note(.saveTimedOut)
    cancelRequest()
    terminate()
  }

  mutating func killDue() {
    guard state.phase == .terminating else { return }
    // A hung trainer is killed without SIGTERM, even if a stop was requested meanwhile.
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
    endUnpublished()
  }

  /// A job whose final state is staged but not durable has not finished; the next start publishes it.
  private mutating func endUnpublished() {
    let ending = state.ending ?? .stopped
    end(ending == .finished ? .stopped : ending)
  }
}
