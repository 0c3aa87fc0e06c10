// Changes of the settings while the job runs.
extension Transition {
  /// Timers that depend on the policy are armed again as if the new one had always applied. A stop in progress keeps
  /// its deadline, and an ended attempt is not judged again.
  mutating func policyChanged(_ policy: Policy) {
    let slots = state.policy.slotCount
    state.policy = policy
    // The arena exists already: a reload cannot change its slots.
    state.policy.slotCount = slots
    switch state.phase {
    case .running:
      rearmCheckpoints()
      rearmHang()
    case .backingOff:
      // Durability does not wait for the next attempt.
      if let newest = state.newestStaged, newest.step > state.durableStep { rearmDurable() }
    case .idle, .starting, .saving, .terminating, .clearing, .settling, .done:
      break  // The next transition uses the new policy.
    }
  }

  private mutating func rearmCheckpoints() {
    guard let attempt = state.attempt, attempt.progress != nil else { return }
    // An open request arms the stage timer when it is answered.
    if state.request == nil || state.request?.target != nil, attempt.finishedStep == nil {
      emit(.arm(.stage, at: state.schedule.nextStage(state.policy, now: now.monotonic)))
    }
    rearmDurable()
    rearmTarget()
  }

  private mutating func rearmDurable() {
    // The end of a publication arms it.
    guard state.publication == nil else { return }
    emit(.arm(.durable, at: max(now.monotonic, state.schedule.nextDurable(state.policy))))
  }

  private mutating func rearmHang() {
    state.attempt?.hangIsArmed = false
    emit(.disarm(.hang))
    armHang()
  }
}
