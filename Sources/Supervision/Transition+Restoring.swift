// When what an attempt starts from is not what it should be.
extension Transition {
  /// Costs no budget, for no attempt failed: the trainer waits for the verdict, and is given the next point.
  mutating func resumePointDamaged(_ replacement: Replacement) {
    guard state.phase != .settling, state.phase != .done, state.resume == replacement.damaged else { return }
    state.resume = replacement.next
    if state.attempt?.progress == nil { state.attempt?.from = replacement.next }
    state.durableStep = replacement.durableStep
    // What is asked for or published now is not what was damaged.
    for (slot, content) in replacement.slots.enumerated()
    where state.slots.indices.contains(slot) && slot != state.request?.slot {
      state.slots[slot] = content
    }
    offer()
  }

  mutating func misled() {
    guard state.attempt?.isMisled == false else { return }
    state.attempt?.isMisled = true
    switch state.phase {
    case .running, .saving, .terminating: emit(.signal(.kill))
    case .idle, .starting, .clearing, .backingOff, .settling, .done: break
    }
  }

  /// A death that nobody wanted, while the state was loaded: it may be the state's fault.
  mutating func diedRestoring(_ status: ExitStatus) {
    guard state.stop == nil, !status.isInterrupt, let attempt = state.attempt, !attempt.isMisled,
      attempt.progress == nil
    else { return }
    var deaths = state.standing.restoreDeaths ?? []
    let times = ResumeChoice.count(attempt.from, in: &deaths)
    state.standing.restoreDeaths = deaths
    if times > 0 { note(.diedRestoring(attempt.from, times: times)) }
  }

  /// What is behind the resume point is never chosen again.
  mutating func forgetRestoreDeaths() {
    guard var deaths = state.standing.restoreDeaths else { return }
    deaths.removeAll { $0.step < state.resume.step }
    state.standing.restoreDeaths = deaths.isEmpty ? nil : deaths
  }
}
