import Vocabulary

/// Determines which moments the policies ask for, and which of them a saved state is of.
enum SaveTargets {
  /// The next moments after `step`.
  /// - Parameters:
  ///   - epochEnd: the end of an epoch that comes next, where policies ask for both.
  ///   - savesAutomatically: whether the end of an epoch may be saved without a policy that counts epochs.
  /// - Returns: nil: there is none.
  static func next(
    _ policies: [CheckpointPolicy], after step: UInt64, epochEnd: EpochEnd, savesAutomatically: Bool
  ) -> SaveTarget? {
    var target = SaveTarget(step: nextStep(policies, after: step), epochEnd: epochEnd)
    let ends = Set(policies.filter { $0.epochs != .none }.map(\.epochEnd))
    if ends.count == 1, let only = ends.first { target.epochEnd = only }
    for policy in policies where policy.epochEnd == target.epochEnd {
      switch policy.epochs {
      case .none: break
      case .automatic: if savesAutomatically { target.everyEpochs = 1 }
      case .every(let count): target.everyEpochs = commonDivisor(target.everyEpochs ?? 0, count)
      }
    }
    return target.step == nil && target.everyEpochs == nil ? nil : target
  }

  /// The first multiple after `step`; nil: there is none.
  static func nextStep(_ policies: [CheckpointPolicy], after step: UInt64) -> UInt64? {
    policies.compactMap { policy in
      guard let every = policy.everySteps, every > 0 else { return nil }
      let (next, overflow) = (step / every * every).addingReportingOverflow(every)
      return overflow ? nil : next
    }.min()
  }

  /// Whether policies ask for both ends of an epoch.
  static func hasBothEnds(_ policies: [CheckpointPolicy]) -> Bool {
    Set(policies.filter { $0.epochs != .none }.map(\.epochEnd)).count > 1
  }

  /// The reasons for which the state that was saved for `target` is published.
  /// - Parameters:
  ///   - step: of the state. It is after the target's if no state could be saved there.
  ///   - completedEpochs: the number, from 1, of the epoch at whose end it was saved; 0: elsewhere.
  ///   - isAffordable: whether the end of an epoch may be published without a policy that counts epochs.
  static func reasons(
    _ policies: [CheckpointPolicy], for target: SaveTarget, step: UInt64, completedEpochs: UInt64,
    isAffordable: Bool
  ) -> Set<CheckpointReason> {
    var reasons: Set<CheckpointReason> = []
    for policy in policies {
      if let every = policy.everySteps, every > 0 {
        let isTarget = target.step.map { step >= $0 && $0 % every == 0 } ?? false
        if isTarget || step % every == 0 { reasons.insert(.steps(every)) }
      }
      guard completedEpochs > 0, policy.epochEnd == target.epochEnd else { continue }
      switch policy.epochs {
      case .none: break
      case .automatic: if isAffordable { reasons.insert(.epochs(1)) }
      case .every(let count): if completedEpochs % max(1, count) == 0 { reasons.insert(.epochs(count)) }
      }
    }
    return reasons
  }

  private static func commonDivisor(_ first: UInt64, _ second: UInt64) -> UInt64 {
    var (first, second) = (first, second)
    while second != 0 { (first, second) = (second, first % second) }
    return first
  }
}
