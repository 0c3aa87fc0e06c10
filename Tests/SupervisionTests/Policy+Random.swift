import Supervision
import TestSupport
import Vocabulary

extension Policy {
  /// Any settings that the core may get.
  static func random(_ random: inout Generator) -> Policy {
    var policy = Policy()
    policy.grace = .milliseconds(random.below(60_000) + 1)
    policy.stepTimeout = [.off, .auto, .fixed(.seconds(5))][random.below(3)]
    policy.stageInterval = [.off, .auto, .fixed(.milliseconds(300))][random.below(3)]
    policy.durableInterval = .seconds(random.below(100) + 1)
    policy.checkpoint.epochs = [.none, .automatic, .every(1), .every(3)][random.below(4)]
    policy.checkpoint.epochEnd = [.training, .validation][random.below(2)]
    policy.checkpoint.everySteps = [nil, 1, 7, 100][random.below(4)]
    if random.below(4) == 0 {
      var other = CheckpointPolicy()
      (other.everySteps, other.epochs, other.interval) = (50, .every(2), .seconds(300))
      other.weightsOnly = random.below(2) == 0
      policy.additional = [other]
    }
    policy.checkpoint.weightsOnly = random.below(8) == 0
    policy.isDurable = random.below(10) > 0
    policy.maxStalls = random.below(6) + 1
    policy.skipBatchAfter = random.below(2) == 0 ? nil : 2
    policy.slotCount = random.below(3) + 2
    return policy
  }
}
