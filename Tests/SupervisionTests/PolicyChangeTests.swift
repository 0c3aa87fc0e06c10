import Supervision
import Testing

/// What a reload changes while a job runs, and what it leaves.
@Suite struct PolicyChangeTests {
  static func policy(_ change: (inout Policy) -> Void) -> Policy {
    var policy = Policy.timed
    change(&policy)
    return policy
  }

  /// Where the newest order about a timer leaves it; nil: it is not armed.
  static func deadline(_ kind: TimerKind, in log: [Action]) -> Duration? {
    for action in log.reversed() {
      if case .arm(kind, let at) = action { return at }
      if case .disarm(kind) = action { return nil }
    }
    return nil
  }

  @Test func shorterIntervalCountsFromLastCheckpoint() {
    var driver = Driver()
    driver.run(to: 50)
    driver.stage(50)
    let stagedAt = driver.now.monotonic
    driver.wait(.seconds(30))
    driver.send(
      .policyChanged(
        Self.policy {
          $0.durableInterval = .seconds(100)
          $0.stageInterval = .fixed(.seconds(40))
        }))
    #expect(Self.deadline(.durable, in: driver.log) == stagedAt + .seconds(100))
    #expect(Self.deadline(.stage, in: driver.log) == stagedAt + .seconds(40))
    driver.send(.policyChanged(Self.policy { $0.durableInterval = .seconds(10) }))
    #expect(Self.deadline(.durable, in: driver.log) == driver.now.monotonic, "overdue: at once")
  }

  @Test func publicationEndUsesNewInterval() {
    var driver = Driver()
    driver.run(to: 50)
    driver.stage(50)
    driver.send(.timer(.durable))
    #expect(driver.state.publication != nil)
    let actions = driver.send(.policyChanged(Self.policy { $0.durableInterval = .seconds(5) }))
    #expect(Self.deadline(.durable, in: actions) == nil)
    driver.send(.published(slot: 0, step: 50, took: .seconds(1)))
    #expect(Self.deadline(.durable, in: driver.log) == driver.now.monotonic + .seconds(5))
  }

  @Test func stepTimeoutIsUpdated() {
    var driver = Driver()
    driver.run(to: 50)
    let aliveAt = driver.now.monotonic
    driver.send(.policyChanged(Self.policy { $0.stepTimeout = .fixed(.seconds(60)) }))
    #expect(Self.deadline(.hang, in: driver.log) == aliveAt + .seconds(60))
    driver.send(.policyChanged(Self.policy { $0.stepTimeout = .off }))
    #expect(Self.deadline(.hang, in: driver.log) == nil)
    driver.wait(.seconds(3600))
    driver.send(.timer(.hang))
    #expect(driver.state.phase == .running)
    // `auto` knows its time after the next step.
    driver.send(.policyChanged(.timed))
    driver.send(.stepped(progress(51)))
    #expect(Self.deadline(.hang, in: driver.log) != nil)
  }

  @Test func stopKeepsItsDeadline() {
    var driver = Driver(Self.policy { $0.grace = .seconds(20) })
    driver.run(to: 50)
    driver.send(.stopRequested)
    let end = Self.deadline(.graceEnd, in: driver.log)
    let actions = driver.send(.policyChanged(Self.policy { $0.grace = .seconds(600) }))
    #expect(actions.isEmpty && driver.state.policy.grace == .seconds(600))
    driver.send(.timer(.saveDeadline))
    let kill = Self.deadline(.kill, in: driver.log)
    #expect(end == driver.now.monotonic + .seconds(20))
    #expect(kill.map { $0 < driver.now.monotonic + .seconds(20) } == true)
  }

  @Test func finishedTrainerGetsNoRequests() {
    var driver = Driver()
    driver.run(to: 50)
    driver.send(.finished(step: 50, slot: 0))
    let actions = driver.send(.policyChanged(Self.policy { $0.stepTimeout = .fixed(.seconds(1)) }))
    #expect(Self.deadline(.stage, in: actions) == nil && Self.deadline(.hang, in: actions) == nil)
  }

  @Test func smallerBudgetAppliesAtNextEnd() {
    var driver = Driver()
    driver.run(to: 0)
    driver.end(.exited(1), driver.remains(.beginning))
    driver.send(.started)
    driver.send(.policyChanged(Self.policy { $0.maxStalls = 2 }))
    #expect(driver.state.phase == .running)
    driver.end(.exited(1), driver.remains(.beginning))
    #expect(driver.state.ending == .gaveUp)
  }

  @Test func arenaKeepsItsSlots() {
    var driver = Driver()
    driver.send(.policyChanged(Self.policy { $0.slotCount = 7 }))
    #expect(driver.state.policy.slotCount == driver.state.slots.count)
  }
}
