import Supervision
import Testing
import Vocabulary

/// Checkpoints of exact steps and of ends of epochs.
@Suite struct TargetTests {
  private static func policy(_ change: (inout CheckpointPolicy) -> Void) -> Policy {
    var policy = Policy.timed
    change(&policy.checkpoint)
    return policy
  }

  /// A trainer that answers at exactly the requested moment.
  private struct Trainer {
    var driver: Driver
    var step: UInt64
    let perEpoch: UInt64
    let stepTime: Duration
    /// Steps of the published checkpoints, with their reasons.
    var published: [(step: UInt64, reasons: [String])] = []
    var isPublishing = false
    /// Validation follows the last step of an epoch, and the supervisor sees nothing between them.
    var validates = false
    var answers = true

    init(_ policy: Policy, perEpoch: UInt64 = 100, stepTime: Duration, from step: UInt64 = 0) {
      driver = Driver(policy)
      self.perEpoch = perEpoch
      self.stepTime = stepTime
      self.step = step
      let point = step == 0 ? ResumePoint.beginning : .checkpoint(level: .staged, step: step)
      send(.begin(Remains(resume: point, progress: nil, slots: [.empty, .empty])))
      send(.started)
      send(.attached())
    }

    mutating func send(_ event: Event) {
      for action in driver.send(event) {
        switch action {
        case .publish(let slot, let step, let reasons):
          published.append((step, reasons.map(\.word).sorted()))
          driver.wait(.milliseconds(1))
          send(.published(slot: slot, step: step, took: .milliseconds(1)))
        case .mark(let step, let reasons): published.append((step, reasons.map(\.word).sorted()))
        default: break
        }
      }
    }

    /// Makes steps; the supervisor sees them in groups of `seenEach`.
    mutating func run(_ count: UInt64, seenEach: UInt64 = 1) {
      var stageAt: Duration?
      for _ in 0..<count {
        step += 1
        driver.wait(stepTime)
        let endsEpoch = step % perEpoch == 0
        if answers, let request = driver.state.request, request.kind == .save {
          let target = request.target
          let epochs = target?.everyEpochs.map { endsEpoch && step / perEpoch % $0 == 0 } ?? false
          if target == nil || target?.step == step || epochs {
            see()
            send(
              .answered(
                sequence: request.sequence,
                .staged(
                  step: step, stall: .zero,
                  completedEpochs: epochs && !(validates && target?.step == step) ? step / perEpoch : 0)))
            if epochs, validates, target?.step == step {
              send(
                .answered(
                  sequence: request.sequence,
                  .staged(step: step, stall: .zero, completedEpochs: step / perEpoch)))
            }
          } else if let wanted = target?.step, wanted < step {
            send(.answered(sequence: request.sequence, .missed(step: step)))
          }
        }
        if step % seenEach == 0 { see() }
        for case .arm(.stage, let at) in driver.log { stageAt = at }
        driver.log = []
        if let at = stageAt, at <= driver.now.monotonic {
          stageAt = nil
          send(.timer(.stage))
        }
      }
    }

    private mutating func see() {
      send(
        .stepped(
          Progress(
            step: step,
            position: BatchPosition(epoch: (step - 1) / perEpoch, batch: (step - 1) % perEpoch + 1),
            batchesPerEpoch: perEpoch)))
    }
  }

  /// From 10,000 steps a second to one in 10 s; the supervisor sees groups of them.
  @Test(arguments: [(100, 1000), (1000, 100), (100_000, 1), (10_000_000, 1)])
  func stepsAreExact(microseconds: Int, seenEach: Int) {
    var trainer = Trainer(Self.policy { $0.everySteps = 1000 }, stepTime: .microseconds(microseconds))
    trainer.run(10_000, seenEach: UInt64(seenEach))
    let exact = trainer.published.filter { $0.reasons.contains("steps=1000") }
    #expect(exact.map(\.step) == (1...10).map { $0 * 1000 })
  }

  /// The first target after a resume is near, and nothing is known about the trainer.
  @Test func firstTargetAfterResumeIsExact() {
    var trainer = Trainer(Self.policy { $0.everySteps = 100 }, stepTime: .microseconds(10), from: 199)
    trainer.run(500, seenEach: 100_000)
    #expect(trainer.published.first?.step == 200)
  }

  /// While a target is far away, the state is staged as usual.
  @Test func stagingContinuesBeforeAFarTarget() {
    var trainer = Trainer(Self.policy { $0.everySteps = 1_000_000 }, stepTime: .milliseconds(10))
    trainer.run(3000)
    #expect(trainer.driver.state.newestStaged?.step ?? 0 > 2700)
    #expect(trainer.driver.state.request?.target?.step == 1_000_000)
  }

  @Test(arguments: [EpochEnd.training, .validation]) func endsOfEpochs(end: EpochEnd) {
    let policy = Self.policy { ($0.epochs, $0.epochEnd) = (.every(3), end) }
    var trainer = Trainer(policy, stepTime: .milliseconds(10))
    trainer.run(1000)
    #expect(trainer.published.map(\.step) == [300, 600, 900])
    #expect(trainer.published.allSatisfy { $0.reasons == ["epochs=3"] })
  }

  /// The state after the last step of an epoch was saved for the step's sake, and validation follows.
  @Test func aStepThatEndsAnEpochIsSavedForBoth() {
    let policy = Self.policy { ($0.everySteps, $0.epochs, $0.epochEnd) = (100, .every(1), .validation) }
    var trainer = Trainer(policy, stepTime: .milliseconds(10))
    trainer.validates = true
    trainer.run(500)
    for step in stride(from: 100 as UInt64, through: 500, by: 100) {
      let reasons = trainer.published.filter { $0.step == step }.flatMap(\.reasons)
      #expect(Set(reasons) == ["steps=100", "epochs=1"], "\(step)")
    }
    #expect(trainer.driver.state.skippedTargets == 0)
  }

  /// The supervisor was killed before it published the newest image.
  @Test func anImageOfAnEarlierSupervisorIsPublishedForItsReasons() {
    for (step, epochs, expected) in [(90, 2, "epochs=2"), (60, 0, "steps=60"), (91, 0, nil)] {
      let policy = Self.policy { ($0.everySteps, $0.epochs) = (60, .every(2)) }
      var driver = Driver(policy)
      let point = ResumePoint.checkpoint(level: .staged, step: UInt64(step))
      _ = driver.send(
        .begin(
          Remains(
            resume: point, progress: nil, slots: [.complete(step: UInt64(step)), .empty],
            completedEpochs: UInt64(epochs))))
      let actions = driver.send(.started)
      let reasons = actions.compactMap { action in
        if case .publish(_, UInt64(step), let reasons) = action { reasons.map(\.word) } else { nil }
      }
      #expect(reasons.flatMap(\.self) == (expected.map { [$0] } ?? []), "\(step)")
    }
  }

  /// The supervisor sees an answer so late that the next target has been passed.
  @Test func stepsThatArePassedBeforeTheAnswerIsSeenAreNoted() {
    var driver = Driver(Self.policy { $0.everySteps = 10 })
    driver.run(to: 5)
    let request = driver.state.request
    #expect(request?.target?.step == 10)
    driver.send(.stepped(progress(25)))
    #expect(driver.state.skippedTargets == 0)
    driver.send(
      .answered(
        sequence: request?.sequence ?? 0, .staged(step: 10, stall: .zero, completedEpochs: 0)))
    #expect(driver.state.skippedTargets == 1)
    #expect(driver.state.request?.target?.step == 30)
  }

  @Test func endsOfEpochsThatAreNotSavedAreNoted() {
    let policy = Self.policy { $0.epochs = .every(3) }
    var trainer = Trainer(policy, stepTime: .milliseconds(10))
    trainer.answers = false
    trainer.run(300)
    #expect(trainer.driver.state.skippedTargets == 0)
    trainer.run(10)
    #expect(trainer.driver.state.skippedTargets == 1)
  }

  /// Without configuration: of every epoch, if epochs are long enough.
  @Test func endsOfLongEpochsAreSavedAutomatically() {
    var policy = Policy()
    policy.checkpoint.interval = .seconds(86400)
    var trainer = Trainer(policy, stepTime: .milliseconds(200))
    trainer.run(1050)
    #expect(trainer.published.map(\.step) == (1...10).map { $0 * 100 })
  }

  /// Each staging takes 30 ms: with epochs of 100 ms the end of each would cost 30 % of the time.
  @Test func endsOfShortEpochsAreNotAllSaved() {
    var policy = Policy()
    policy.checkpoint.interval = .seconds(86400)
    var trainer = Trainer(policy, perEpoch: 10, stepTime: .milliseconds(10))
    trainer.run(3000)
    #expect(trainer.published.count >= 3 && trainer.published.count <= 31)
    #expect(trainer.published.allSatisfy { $0.step % 10 == 0 })
  }

  @Test func stepsAndEpochsTogether() {
    var policy = Self.policy { ($0.everySteps, $0.epochs) = (250, .every(1)) }
    policy.durableInterval = .seconds(86400)
    var trainer = Trainer(policy, stepTime: .milliseconds(10))
    trainer.run(520)
    #expect(trainer.published.map(\.step) == [100, 200, 250, 300, 400, 500])
    #expect(trainer.published.map(\.reasons)[2] == ["steps=250"])
  }

  /// An answer at another moment than an epoch's end: the client does not know of it.
  @Test func anOldClientIsNotAskedAgain() {
    var driver = Driver(Self.policy { $0.epochs = .every(1) })
    driver.run(to: 10)
    #expect(driver.state.request?.target?.everyEpochs == 1)
    driver.send(.answered(sequence: driver.state.lastSequence, .staged(step: 11, stall: .zero)))
    #expect(driver.state.request == nil)
    driver.send(.stepped(progress(20)))
    #expect(driver.state.request == nil)
  }

  /// Targets that are too close together are skipped, which is reported once.
  @Test func skippedTargetsAreReportedOnce() {
    var driver = Driver(Self.policy { $0.everySteps = 1 })
    driver.run(to: 10)
    var notes = 0
    for step in stride(from: UInt64(20), to: 200, by: 10) {
      let request = driver.state.request?.sequence ?? 0
      let actions = driver.send(.answered(sequence: request, .missed(step: step)))
      notes += actions.filter { if case .note(.checkpointsSkipped) = $0 { true } else { false } }.count
      driver.send(.stepped(progress(step)))
    }
    #expect(notes == 1)
    // It aims further ahead after each miss.
    #expect(driver.state.request?.target?.step ?? 0 > 300)
  }

  /// Within the time of a stop nothing waits for a target.
  @Test func aStopReplacesTheTarget() {
    var driver = Driver(Self.policy { $0.everySteps = 12 })
    driver.run(to: 11)
    #expect(driver.state.request?.target?.step == 12)
    driver.send(.stopRequested)
    #expect(driver.state.request?.kind == .saveAndLeave && driver.state.request?.target == nil)
  }

  /// The interval of a further policy is counted in wall time, across supervisors.
  @Test func furtherIntervalsSurviveTheSupervisor() {
    var policy = Policy.timed
    policy.checkpoint.interval = .seconds(60)
    var hourly = CheckpointPolicy()
    hourly.interval = .seconds(3600)
    policy.additional = [hourly]
    var standing = Standing()
    var reasons: [[String]] = []
    for minute in 1...130 {
      var driver = Driver(policy, standing: standing, durableStep: UInt64(minute))
      driver.now.wall += .seconds(minute * 120)
      driver.now.monotonic = .seconds(90)
      driver.state = State(policy: policy, standing: standing, durableStep: UInt64(minute), now: driver.now)
      driver.run(to: UInt64(minute + 100))
      driver.wait(.seconds(61))
      driver.stage(UInt64(minute + 100))
      for case .publish(let slot, let step, let why) in driver.log {
        reasons.append(why.map(\.word).sorted())
        driver.send(.published(slot: slot, step: step, took: .milliseconds(1)))
      }
      standing = driver.state.standing
    }
    #expect(reasons.count == 130)
    #expect(reasons.filter { $0.contains("interval=3600s") }.count == 4)
  }

  /// The program may use that checkpoint before it exits.
  @Test func theEndOfTheLastEpochIsPublishedBeforeTheExit() {
    var driver = Driver(Self.policy { $0.epochs = .every(1) })
    driver.run(to: 10)
    driver.send(
      .stepped(Progress(step: 100, position: BatchPosition(epoch: 0, batch: 100), batchesPerEpoch: 100)))
    let actions = driver.send(.finished(step: 100, slot: driver.state.offered))
    #expect(actions.publishes(100) && driver.state.phase == .running)
  }
}
