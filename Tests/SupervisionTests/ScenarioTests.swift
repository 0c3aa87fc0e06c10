import Supervision
import Testing
import Vocabulary

/// Stories rather than cells: what a user would say of the policy.
@Suite struct ScenarioTests {
  static let atTen = ResumePoint.checkpoint(level: .staged, step: 10)

  @Test func progressRestartsAtOnceAndResetsBudget() {
    var driver = Driver()
    driver.run(to: 20)
    driver.state.standing.stalls = 3
    let actions = driver.end(.signaled(9), driver.remains(Self.atTen, progress: progress(20)))
    #expect(actions.contains(.start(attempt: 2, from: Self.atTen, skips: [])))
    #expect(driver.state.standing.stalls == 0)
  }

  @Test func pausesGrowWithoutProgressUntilGivingUp() throws {
    var driver = Driver()
    driver.run(to: 0)
    var pauses: [Duration] = []
    for _ in 0..<5 {
      driver.end(.exited(1), driver.remains(.beginning))
      if driver.state.phase == .backingOff {
        for case .arm(.backoff, let at) in driver.log.suffix(3) { pauses.append(at - driver.now.monotonic) }
        driver.send(.timer(.backoff))
      }
      if driver.state.phase == .starting { driver.send(.started) }
    }
    #expect(driver.state.phase == .done && driver.state.ending == .gaveUp)
    // The first fruitless attempt costs no pause, the fifth is the last.
    #expect(pauses.count == 3)
    for (index, pause) in pauses.enumerated() {
      #expect(pause >= .seconds(1 << index) && pause <= .seconds(1 << index) * 1.25)
    }
  }

  @Test func outOfMemoryKillIsDistinguished() {
    func cause(outOfMemory: Bool, stopping: Bool = false) -> [Cause] {
      var driver = Driver()
      driver.run(to: 20)
      if stopping { driver.send(.stopRequested) }
      driver.send(.exited(.signaled(9), outOfMemory: outOfMemory))
      let actions = driver.send(.cleared(driver.remains(Self.atTen)))
      return actions.compactMap { if case .note(.attemptEnded(_, let cause, _)) = $0 { cause } else { nil } }
    }
    #expect(cause(outOfMemory: true) == [.oomKilled] && cause(outOfMemory: false) == [.killed])
    // Whoever is asked to stop is stopped, however it comes about.
    #expect(cause(outOfMemory: true, stopping: true) == [.stopped])
  }

  @Test(arguments: [Supervision.ExitStatus.signaled(2), .exited(130)])
  func interruptOfTrainerStopsJob(status: Supervision.ExitStatus) {
    var standing = Standing()
    standing.stalls = 3
    var driver = Driver(standing: standing)
    driver.run(to: 20)
    let ended = driver.end(status, driver.remains(.beginning, progress: progress(20)))
    #expect(ended.contains(.note(.attemptEnded(status, .keyboardInterrupt, progressed: false))))
    #expect(driver.state.ending == .stopped)
    // Neither the budget nor the batch has a part in it.
    #expect(driver.state.standing.stalls == 3 && driver.state.standing.deathTally == nil)
  }

  @Test func interruptOfBothIsOneStop() {
    func leave(_ first: Event, _ second: Event) -> [Action] {
      var driver = Driver()
      driver.run(to: 20)
      driver.stage(20)
      driver.send(first)
      driver.send(second)
      driver.send(.cleared(driver.remains(.checkpoint(level: .staged, step: 20))))
      driver.send(.published(slot: 0, step: 20, took: .seconds(1)))
      return driver.log
    }
    for log in [leave(.stopRequested, .exited(.signaled(2))), leave(.exited(.signaled(2)), .stopRequested)] {
      #expect(log.contains(.note(.attemptEnded(.signaled(2), .stopped, progressed: true))))
      #expect(log.publishes(20) && !log.contains(.note(.hurrying)))
      #expect(log.last == .end(.stopped))
    }
  }

  @Test func unsavedFinalStateIsNoSuccess() {
    var driver = Driver()
    driver.run(to: 20)
    driver.send(.finished(step: 20, slot: nil))
    driver.end(.exited(0), driver.remains(Self.atTen))
    #expect(driver.log.contains(.note(.finalStateLost(step: 20))))
    #expect(driver.state.ending == .finalStateNotDurable)
  }

  @Test func startAfterGivingUpHasFullBudget() {
    var standing = Standing()
    standing.gaveUp = true
    standing.stalls = 5
    standing.attempt = 7
    var driver = Driver(standing: standing)
    let actions = driver.send(.begin(driver.remains(Self.atTen)))
    #expect(actions.contains(.start(attempt: 8, from: Self.atTen, skips: [])))
    #expect(driver.state.standing.stalls == 0 && !driver.state.standing.gaveUp)
  }

  @Test func repeatedBatchIsReportedAndSkipped() {
    var policy = Policy.timed
    policy.skipBatchAfter = 3
    var driver = Driver(policy)
    driver.run(to: 20)
    for attempt in 1...3 {
      driver.end(
        .signaled(11),
        driver.remains(.checkpoint(level: .staged, step: UInt64(9 + attempt)), progress: progress(20)))
      driver.send(.started)
    }
    #expect(driver.state.standing.skips == [BatchPosition(epoch: 0, batch: 20)])
    #expect(driver.log.contains(.note(.skipping(BatchPosition(epoch: 0, batch: 20), deaths: 3))))
    #expect(driver.log.contains { if case .start(4, _, let skips, _) = $0 { !skips.isEmpty } else { false } })
  }

  @Test func lastBatchOfEpochIsFollowedByFirstOfNext() {
    #expect(progress(100).nextBatch == BatchPosition(epoch: 1, batch: 0))
    #expect(
      Progress(step: 5, position: .init(epoch: 0, batch: 100), batchesPerEpoch: 100).nextBatch
        == .init(epoch: 1, batch: 0))
  }

  /// Preempted every minute with a checkpoint due every ten: it still comes, every ten.
  @Test func frequentPreemptionsDoNotStarveDurability() {
    var standing = Standing()
    var now = Moment(monotonic: .seconds(100), wall: .seconds(1_700_000_000))
    standing.lastDurableWallSeconds = 1_700_000_000
    var published = 0
    for minute in 1...33 {
      // A new machine each time: its monotonic clock begins anew.
      now = Moment(monotonic: .seconds(50), wall: .seconds(1_700_000_000 + minute * 60))
      var state = State(policy: .timed, standing: standing, durableStep: UInt64(minute), now: now)
      func send(_ event: Event) -> [Action] {
        let (next, actions) = transition(state, event, at: now)
        state = next
        return actions
      }
      _ = send(.begin(Remains(resume: .beginning, progress: nil, slots: [.empty, .empty])))
      _ = send(.started)
      _ = send(.attached())
      _ = send(.stepped(progress(UInt64(minute + 100))))
      _ = send(.timer(.stage))
      let step = UInt64(minute + 100)
      let actions = send(.answered(sequence: 1, .staged(step: step, stall: .milliseconds(1))))
      if actions.publishes(step) {
        published += 1
        _ = send(.published(slot: 0, step: step, took: .seconds(1)))
      }
      standing = state.standing
    }
    #expect(published == 3)
  }

  @Test(arguments: [-1_000_000, 1_000_000]) func clockJumpCostsAtMostOneInterval(seconds: Int) {
    var standing = Standing()
    standing.lastDurableWallSeconds = 1_700_000_000
    let now = Moment(monotonic: .seconds(50), wall: .seconds(1_700_000_000 + seconds))
    let schedule = Schedule(policy: .timed, standing: standing, now: now)
    let due = schedule.nextDurable(.timed) - now.monotonic
    #expect(due >= .zero && due <= Policy.timed.durableInterval)
  }

  /// `auto`: whatever a copy costs, all of them together stay under 1 % of the time.
  @Test(arguments: [1, 30, 400, 9000]) func autoStagingCostsLessThanOnePercent(stallMilliseconds: Int) {
    var driver = Driver()
    driver.run(to: 1)
    let stall = Duration.milliseconds(stallMilliseconds)
    let began = driver.now.monotonic
    var spent = Duration.zero
    var step: UInt64 = 1
    for _ in 0..<50 {
      step += 1
      driver.send(.stepped(progress(step)))
      driver.send(.timer(.stage))
      if let publication = driver.state.publication {
        driver.send(.published(slot: publication.slot, step: publication.step, took: .zero))
      }
      guard let request = driver.state.request else { break }
      driver.wait(stall)
      spent += stall
      driver.send(.answered(sequence: request.sequence, .staged(step: step, stall: stall)))
      for case .arm(.stage, let at) in driver.log.reversed() {
        driver.wait(at - driver.now.monotonic)
        break
      }
    }
    #expect(spent == stall * 50)
    #expect(spent / (driver.now.monotonic - began) < 0.01)
  }

  @Test func stopWaitsForSaveAndPublishesIt() {
    var driver = Driver()
    driver.run(to: 50)
    let asked = driver.send(.stopRequested)
    #expect(asked.contains { if case .request(.saveAndLeave, _, _, nil, .some) = $0 { true } else { false } })
    let saved = driver.send(.answered(sequence: 1, .staged(step: 51, stall: .milliseconds(5))))
    #expect(saved.publishes(51))
    driver.end(.exited(75), driver.remains(.checkpoint(level: .staged, step: 51)))
    #expect(driver.state.phase == .settling)
    let left = driver.send(.published(slot: 0, step: 51, took: .seconds(1)))
    #expect(left.last == .end(.stopped))
    #expect(driver.state.standing.stalls == 0, "a stop costs no budget")
  }

  /// From the signal to the exit: never longer than the grace time, whatever does not answer.
  @Test(arguments: [1, 5, 25, 600]) func stopEndsWithinGraceTime(seconds: Int) {
    var policy = Policy.timed
    policy.grace = .seconds(seconds)
    var driver = Driver(policy)
    driver.run(to: 50)
    driver.stage(50)
    driver.send(.stepped(progress(60)))
    let began = driver.now.monotonic
    var armed: [TimerKind: Duration] = [:]
    func take(_ actions: [Action]) {
      for action in actions {
        if case .arm(let kind, let at) = action { armed[kind] = at }
        if case .disarm(let kind) = action { armed[kind] = nil }
      }
    }
    take(driver.send(.stopRequested))
    // Nobody ever answers: only timers fire, in their order.
    while driver.state.phase != .done, let next = armed.min(by: { $0.value < $1.value }) {
      armed[next.key] = nil
      driver.wait(max(.zero, next.value - driver.now.monotonic))
      take(driver.send(.timer(next.key)))
    }
    #expect(driver.state.phase == .done)
    #expect(driver.now.monotonic - began <= policy.grace)
    #expect(driver.log.contains(.signal(.kill)) && driver.log.contains(.signal(.terminate)))
    #expect(driver.log.publishes(50), "the best there is becomes durable")
  }

  @Test func hangIsKilledAfterTimeoutAndNotBefore() {
    var policy = Policy.timed
    policy.stepTimeout = .fixed(.seconds(10))
    var driver = Driver(policy)
    driver.run(to: 5)
    driver.wait(.seconds(9))
    #expect(!driver.send(.timer(.hang)).contains(.signal(.kill)))
    driver.send(.heartbeat)
    driver.wait(.seconds(9))
    #expect(!driver.send(.timer(.hang)).contains(.signal(.kill)), "a safe point is a sign of life")
    driver.wait(.seconds(2))
    #expect(driver.send(.timer(.hang)).contains(.signal(.kill)))
    let ended = driver.end(.signaled(9), driver.remains(Self.atTen))
    #expect(ended.contains(.note(.attemptEnded(.signaled(9), .hang, progressed: true))))
  }

  /// It has no steps that could fail to come, however long it runs.
  @Test func programWithoutProtocolNeverCountsAsHung() {
    var policy = Policy.timed
    policy.stepTimeout = .fixed(.seconds(10))
    var driver = Driver(policy)
    driver.send(.begin(driver.remains(.beginning)))
    driver.send(.started)
    driver.wait(.seconds(1_000_000))
    #expect(driver.send(.timer(.hang)).isEmpty && driver.state.phase == .running)
    // From when it attaches it has ten times as long for its first step.
    let attached = driver.send(.attached())
    #expect(attached.contains(.arm(.hang, at: driver.now.monotonic + .seconds(100))))
  }

  @Test func stacksAreRequestedBeforeHungTrainerIsKilled() throws {
    var policy = Policy.timed
    policy.stepTimeout = .fixed(.seconds(10))
    var driver = Driver(policy)
    driver.run(to: 5)
    driver.send(.attached(offersStacks: true))
    driver.wait(.seconds(11))
    let asked = driver.send(.timer(.hang))
    #expect(asked.contains(.signal(.stacks)) && !asked.contains(.signal(.kill)))
    // A stop that comes meanwhile neither asks a hung trainer to leave nor takes the kill away.
    driver.send(.stopRequested)
    driver.wait(.seconds(2))
    let due = driver.send(.timer(.kill))
    #expect(due.contains(.signal(.kill)) && !due.contains(.signal(.terminate)))
    let ended = driver.end(.signaled(9), driver.remains(Self.atTen))
    #expect(ended.contains(.note(.attemptEnded(.signaled(9), .hang, progressed: true))))
  }

  @Test func autoHasNoTimeoutBeforeFirstStepTime() {
    var driver = Driver()
    driver.run(to: 0)
    driver.wait(.seconds(100_000))
    #expect(!driver.send(.timer(.hang)).contains(.signal(.kill)))
  }

  /// The newest staged image and the one being published are never overwritten.
  @Test func requestsNeverNameASlotInUse() {
    var driver = Driver()
    driver.run(to: 1)
    var random = UInt64(9)
    for step in 2...500 as ClosedRange<UInt64> {
      random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      driver.send(.stepped(progress(step)))
      let newest = driver.state.newestStaged?.slot
      let publishing = driver.state.publication?.slot
      for case .request(_, _, let slot, _, _) in driver.send(.timer(.stage)) {
        #expect(slot != newest && slot != publishing)
      }
      if random >> 60 < 8, let request = driver.state.request {
        driver.send(.answered(sequence: request.sequence, .staged(step: step, stall: .milliseconds(1))))
      }
      if random >> 40 & 7 == 0 { driver.send(.checkpointRequested) }
      if random >> 33 & 7 == 0, let publication = driver.state.publication {
        driver.send(.published(slot: publication.slot, step: publication.step, took: .seconds(1)))
      }
    }
    #expect(driver.state.durableStep > 0)
  }
}
