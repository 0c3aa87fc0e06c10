import Supervision
import Testing
import Vocabulary

/// Checkpoints with only weights: of the moments that only policies with weights-only ask for.
struct WeightsTests {
  private static func weights(_ change: (inout CheckpointPolicy) -> Void) -> CheckpointPolicy {
    var policy = CheckpointPolicy()
    policy.weightsOnly = true
    change(&policy)
    return policy
  }

  private static func policy(
    job: (inout CheckpointPolicy) -> Void = { _ in }, _ additional: CheckpointPolicy...
  ) -> Policy {
    var policy = Policy.timed
    policy.durableInterval = .seconds(3600)
    job(&policy.checkpoint)
    policy.additional = additional
    return policy
  }

  /// What a publication contains, and why.
  private static func published(_ driver: inout Driver) -> (step: UInt64, what: String, why: [String])? {
    guard case .publish(let slot, let step, let reasons)? = driver.log.last(where: \.isPublication) else {
      return nil
    }
    driver.log = []
    let what = [
      driver.state.publishesWholeState ? "whole" : nil, driver.state.publishesWeights ? "weights" : nil,
    ].compactMap(\.self).joined(separator: "+")
    driver.wait(.milliseconds(1))
    driver.send(.published(slot: slot, step: step, took: .milliseconds(1)))
    return (step, what, reasons.map(\.word).sorted())
  }

  /// The trainer reaches the step that was asked for.
  private static func reach(_ driver: inout Driver, _ step: UInt64, epochs: UInt64 = 0) {
    driver.send(.stepped(progress(step)))
    driver.send(
      .answered(
        sequence: driver.state.lastSequence,
        .staged(step: step, stall: .milliseconds(1), completedEpochs: epochs)))
  }

  @Test func stepsOfSuchAPolicyAreWeights() {
    var driver = Driver(Self.policy(Self.weights { $0.everySteps = 12 }))
    driver.run(to: 11)
    Self.reach(&driver, 12)
    #expect(Self.published(&driver) ?? (0, "", []) == (12, "weights", ["steps=12"]))
    #expect(driver.state.durableStep == 0 && driver.state.weightsStep == 12)
    #expect(driver.state.schedule.publishing == nil, "not what the whole state takes")
    // The stop needs the whole state, of the same step too.
    driver.send(.stopRequested)
    driver.send(.answered(sequence: driver.state.lastSequence, .staged(step: 12, stall: .milliseconds(1))))
    #expect(Self.published(&driver) ?? (0, "", []) == (12, "whole", ["stop"]))
    #expect(driver.state.durableStep == 12)
  }

  @Test func oneMomentMayServeBothKinds() {
    var driver = Driver(Self.policy(job: { $0.everySteps = 24 }, Self.weights { $0.everySteps = 12 }))
    driver.run(to: 11)
    Self.reach(&driver, 12)
    #expect(Self.published(&driver)?.what == "weights")
    Self.reach(&driver, 24)
    #expect(Self.published(&driver) ?? (0, "", []) == (24, "whole+weights", ["steps=12", "steps=24"]))
  }

  /// Two policies ask for the same steps, one of them for weights.
  @Test func theSameStepsForBothKinds() {
    var driver = Driver(Self.policy(job: { $0.everySteps = 12 }, Self.weights { $0.everySteps = 12 }))
    driver.run(to: 11)
    Self.reach(&driver, 12)
    #expect(Self.published(&driver)?.what == "whole+weights")
  }

  /// A job with no other policy: what recovery needs is saved in time, and has its weights beside it.
  @Test func aJobOfWeightsSavesWhatRecoveryNeeds() {
    var driver = Driver(Self.policy(job: { ($0.weightsOnly, $0.everySteps) = (true, 12) }))
    driver.run(to: 11)
    Self.reach(&driver, 12)
    #expect(Self.published(&driver)?.what == "weights")
    driver.wait(.seconds(3600))
    driver.send(.stepped(progress(13)))
    driver.send(.timer(.durable))
    #expect(Self.published(&driver) ?? (0, "", []) == (12, "whole", ["interval=3600s"]))
    driver.send(.checkpointRequested)
    Self.reach(&driver, 14)
    #expect(Self.published(&driver) ?? (0, "", []) == (14, "whole+weights", ["request"]))
  }

  /// When the interval is over, steps of weights do not put it off.
  @Test func weightsDoNotPutOffTheInterval() {
    var driver = Driver(Self.policy(Self.weights { $0.everySteps = 12 }))
    driver.run(to: 11)
    Self.reach(&driver, 12)
    #expect(Self.published(&driver)?.what == "weights")
    driver.wait(.seconds(3601))
    Self.reach(&driver, 24)
    #expect(Self.published(&driver)?.what == "whole+weights")
    #expect(driver.state.durableStep == 24)
  }

  /// An epoch ends at a step that is durable already.
  @Test func weightsOfADurableState() {
    var driver = Driver(
      Self.policy(
        job: { $0.everySteps = 12 }, Self.weights { ($0.epochs, $0.epochEnd) = (.every(1), .validation) }))
    driver.run(to: 11)
    Self.reach(&driver, 12)
    #expect(Self.published(&driver)?.what == "whole")
    Self.reach(&driver, 12, epochs: 1)
    #expect(Self.published(&driver) ?? (0, "", []) == (12, "weights", ["epochs=1"]))
    #expect(driver.state.durableStep == 12 && driver.state.weightsStep == 12)
  }

  /// An attempt that makes steps again does not save their weights again.
  @Test func replayedStepsAreNotSavedAgain() {
    var driver = Driver(Self.policy(Self.weights { $0.everySteps = 12 }))
    driver.state.weightsStep = 24
    driver.run(to: 11)
    Self.reach(&driver, 12)
    #expect(Self.published(&driver) == nil)
    Self.reach(&driver, 24)
    #expect(Self.published(&driver) == nil)
    Self.reach(&driver, 36)
    #expect(Self.published(&driver)?.what == "weights")
  }

  /// The disk is full: the end of the job lacks nothing that it needs.
  @Test func weightsThatFailDoNotFailTheJob() {
    var driver = Driver(
      Self.policy(
        job: { $0.everySteps = 12 }, Self.weights { ($0.epochs, $0.epochEnd) = (.every(1), .validation) }))
    driver.run(to: 11)
    Self.reach(&driver, 12)
    _ = Self.published(&driver)
    Self.reach(&driver, 12, epochs: 1)
    driver.send(.finished(step: 12, slot: nil))
    driver.send(.exited(.exited(0)))
    driver.send(.cleared(driver.remains(.checkpoint(level: .durable, step: 12))))
    #expect(driver.state.phase == .settling)
    driver.send(.publishFailed(slot: driver.state.publication?.slot ?? 9, step: 12))
    #expect(driver.state.phase == .done && driver.state.ending == .finished)
  }
}

extension Action {
  fileprivate var isPublication: Bool { if case .publish = self { true } else { false } }
}
