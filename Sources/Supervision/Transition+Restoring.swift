// Damaged resume points, and deaths while loading one.
extension Transition {
  /// Uses no budget, since no attempt failed: the trainer waits for the verdict and gets the next point.
  mutating func resumePointDamaged(_ replacement: Replacement) {
    guard state.phase != .settling, state.phase != .done, state.resume == replacement.damaged else { return }
    state.resume = replacement.next
    if state.attempt?.progress == nil { state.attempt?.from = replacement.next }
    state.durableStep = replacement.durableStep
    // The requested slot is being written: its content is not the damaged one.
    for (slot, content) in replacement.slots.enumerated()
    where state.slots.indices.contains(slot) && slot != state.request?.slot {
      state.slots[slot] = content
    }
    offer()
  }

  mutating func loadedDamagedPoint() {
    guard state.attempt?.loadedDamagedPoint == false else { return }
    state.attempt?.loadedDamagedPoint = true
    switch state.phase {
    case .running, .saving, .terminating: emit(.signal(.kill))
    case .idle, .starting, .clearing, .backingOff, .settling, .done: break
    }
  }

  /// An unexpected death while the state was loaded, which may be the cause.
  mutating func diedRestoring(_ status: ExitStatus) {
    guard state.stop == nil, !status.isInterrupt, let attempt = state.attempt, !attempt.loadedDamagedPoint,
      attempt.progress == nil
    else { return }
    var deaths = state.standing.restoreDeaths ?? []
    let times = ResumeChoice.count(attempt.from, in: &deaths)
    state.standing.restoreDeaths = deaths
    if times > 0 { note(.diedRestoring(attempt.from, times: times)) }
  }

  /// After deaths while the newest image was loaded, the next attempt is to start from an older point. The durable copy
  /// of that image may be whole, so it is worth a wait if it is being written.
  mutating func backoffEnded() {
    guard let publication = state.publication, publication.step > state.resume.step,
      state.publishesWholeState, !state.startWaits
    else { return startAttempt() }
    state.startWaits = true
    emit(.arm(.backoff, at: now.monotonic + Schedule.answerTimeout))
  }

  mutating func resumePointChosen(_ point: ResumePoint) {
    if state.phase == .backingOff { state.resume = point }
  }

  /// Points before the resume point are never chosen again.
  mutating func pruneRestoreDeaths() {
    guard var deaths = state.standing.restoreDeaths else { return }
    deaths.removeAll { $0.step < state.resume.step }
    state.standing.restoreDeaths = deaths.isEmpty ? nil : deaths
  }
}
