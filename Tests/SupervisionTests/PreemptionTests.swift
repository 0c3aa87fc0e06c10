import Supervision
import Testing
import Vocabulary

/// Stories of machines that are taken away.
@Suite struct PreemptionTests {
  /// A driver with a trainer at step 60, step 50 staged, that carries out timers.
  struct Machine {
    var driver: Driver
    var armed: [TimerKind: Duration] = [:]

    init(_ policy: Policy = .timed) {
      driver = Driver(policy)
      driver.run(to: 50)
      driver.stage(50)
      driver.send(.stepped(progress(60)))
    }

    @discardableResult
    mutating func send(_ event: Event) -> [Action] {
      let actions = driver.send(event)
      for action in actions {
        if case .arm(let kind, let at) = action { armed[kind] = at }
        if case .disarm(let kind) = action { armed[kind] = nil }
      }
      return actions
    }

    /// Lets timers fire until `end`, or until nothing is left to wait for.
    mutating func elapse(until end: Duration) {
      while driver.state.phase != .done, let next = armed.min(by: { $0.value < $1.value }), next.value <= end
      {
        armed[next.key] = nil
        driver.wait(max(.zero, next.value - driver.now.monotonic))
        send(.timer(next.key))
      }
      if driver.state.phase != .done { driver.wait(max(.zero, end - driver.now.monotonic)) }
    }

    /// Answers what is asked, and ends what is published.
    mutating func answer(step: UInt64) {
      if let request = driver.state.request {
        send(.answered(sequence: request.sequence, .staged(step: step, stall: .milliseconds(1))))
      }
    }

    mutating func publish(took: Duration) {
      guard let publication = driver.state.publication else { return }
      driver.wait(took)
      send(.published(slot: publication.slot, step: publication.step, took: took))
    }
  }

  static func notice(_ seconds: Int, acknowledged: Bool = false) -> PreemptionNotice {
    PreemptionNotice(
      source: "test", event: "1", action: "terminate", longestLead: .seconds(seconds),
      wantsAcknowledgement: acknowledged)
  }

  static func kinds(_ actions: [Action]) -> [String] { actions.map(\.word).filter { !$0.isEmpty } }

  @Test func noticeSavesContinuesAndStopsBeforeDeadline() throws {
    var machine = Machine()
    let began = machine.driver.now.monotonic
    let asked = machine.send(.preemptionNotice(Self.notice(120, acknowledged: true)))
    #expect(Self.kinds(asked).contains("request(save)"), "a checkpoint before the stop signal comes")
    machine.answer(step: 61)
    #expect(machine.driver.state.publication?.step == 61)
    machine.publish(took: .seconds(2))
    machine.send(.stepped(progress(700)))
    machine.elapse(until: began + .seconds(90))
    #expect(machine.driver.state.phase == .running, "there is time to train on")
    #expect(!machine.driver.log.contains { if case .acknowledge = $0 { true } else { false } })
    machine.answer(step: 699)
    machine.publish(took: .seconds(2))
    machine.elapse(until: began + .seconds(114))
    #expect(machine.driver.state.phase == .saving)
    machine.answer(step: 800)
    machine.driver.end(.exited(75), machine.driver.remains(.checkpoint(level: .staged, step: 800)))
    let last = try #require(machine.driver.state.publication)
    let left = machine.driver.send(
      .published(slot: last.slot, step: 800, took: .seconds(2)))
    #expect(Self.kinds(left).suffix(3) == ["'preemptionSurvived'", "acknowledge", "leave(stopped)"])
    #expect(machine.driver.now.monotonic < began + .seconds(120))
    #expect(machine.driver.log.contains(.note(.attemptEnded(.exited(75), .preempted, progressed: true))))
    #expect(machine.driver.state.standing.stalls == 0, "preemption costs no budget")
  }

  /// Whatever the lead, the step time and the disk: gone by the deadline, the staged state durable.
  @Test(arguments: [1, 10, 30, 120, 900], [0, 1, 40, 4000])
  func endsByDeadlineWithoutAnswers(lead: Int, publishing: Int) {
    var machine = Machine()
    if publishing > 0 {
      machine.send(.checkpointRequested)
      machine.answer(step: 60)
      machine.publish(took: .seconds(publishing))
      machine.send(.stepped(progress(61)))
      machine.driver.stage(61)
      machine.send(.stepped(progress(62)))
    }
    let began = machine.driver.now.monotonic
    machine.send(.preemptionNotice(Self.notice(lead)))
    machine.elapse(until: began + .seconds(100_000))
    #expect(machine.driver.state.phase == .done)
    // A notice that leaves less than a stop needs gets what a stop needs: there is nothing to lose.
    #expect(machine.driver.now.monotonic <= began + .seconds(max(lead, 6)))
    #expect(machine.driver.log.contains(.signal(.terminate)) && machine.driver.log.contains(.signal(.kill)))
    let kept: UInt64 = publishing > 0 ? 61 : 50
    #expect(machine.driver.log.publishes(kept))
  }

  @Test func signalTakesPrecedenceOverNotice() {
    var machine = Machine()
    machine.send(.preemptionNotice(Self.notice(120)))
    let stopped = machine.send(.stopRequested)
    #expect(Self.kinds(stopped).contains("request(saveAndLeave)"))
    let deadline = machine.driver.now.monotonic + .seconds(25)
    #expect(machine.armed[.graceEnd] == deadline, "the grace time, which is shorter than the notice")
    #expect(machine.armed[.preemption] == nil)
  }

  @Test func shortNoticeShortensGraceTime() throws {
    var machine = Machine()
    machine.send(.stopRequested)
    let before = try #require(machine.armed[.saveDeadline])
    machine.send(.preemptionNotice(Self.notice(10)))
    #expect(machine.armed[.graceEnd] == machine.driver.now.monotonic + .seconds(10))
    #expect(try #require(machine.armed[.saveDeadline]) < before)
  }

  /// systemd's stop, when it comes after we began to leave, is no second signal that hurries.
  @Test func announcedSignalIsNotASecondRequest() {
    var machine = Machine()
    machine.send(.preemptionNotice(Self.notice(30)))
    machine.answer(step: 61)
    machine.publish(took: .seconds(1))
    while machine.driver.state.phase == .running, let at = machine.armed[.preemption] {
      machine.elapse(until: at)
    }
    #expect(machine.driver.state.phase == .saving)
    let first = machine.send(.stopRequested)
    #expect(!first.contains(.signal(.kill)) && machine.driver.state.phase == .saving)
    #expect(machine.send(.stopRequested).contains(.signal(.kill)), "a second one does")
  }

  @Test func cancelledNoticeIsCleared() {
    var machine = Machine()
    machine.send(.preemptionNotice(Self.notice(120)))
    machine.answer(step: 61)
    machine.publish(took: .seconds(1))
    machine.send(.preemptionCancelled())
    let began = machine.driver.now.monotonic
    #expect(machine.armed[.preemption] == nil && machine.driver.state.preemption == nil)
    machine.elapse(until: began + .seconds(500))
    #expect(machine.driver.state.phase == .running && machine.driver.state.stop == nil)
  }

  @Test func cancellationOfAnotherEventIsIgnored() {
    var machine = Machine()
    var notice = Self.notice(120)
    notice.event = "preempted"
    machine.send(.preemptionNotice(notice))
    machine.send(.preemptionCancelled(event: "maintenance-event"))
    #expect(machine.driver.state.preemption != nil)
    machine.send(.preemptionCancelled(event: "preempted"))
    #expect(machine.driver.state.preemption == nil)
  }

  @Test(arguments: [false, true]) func cancellationWhileStoppingStartsAgain(isSettling: Bool) {
    var machine = Machine()
    machine.send(.preemptionNotice(Self.notice(3)))
    machine.elapse(until: machine.driver.now.monotonic + .seconds(2))
    machine.answer(step: 61)
    let attempt = machine.driver.state.standing.attempt
    if !isSettling { machine.send(.preemptionCancelled()) }
    machine.send(.exited(.exited(75)))
    machine.send(.cleared(machine.driver.remains(.checkpoint(level: .staged, step: 61))))
    if isSettling {
      #expect(machine.driver.state.phase == .settling)
      machine.send(.preemptionCancelled())
    }
    #expect(machine.driver.state.phase == .starting)
    #expect(machine.driver.state.standing.attempt == attempt + 1 && machine.driver.state.standing.stalls == 0)
    #expect(machine.armed[.graceEnd] == nil, "the new attempt is not ended by the old deadline")
  }

  /// Measured: the save cannot be durable in time. What is staged can.
  @Test func tooLittleTimeKeepsStagedCheckpointAndReportsIt() {
    var machine = Machine()
    machine.send(.checkpointRequested)
    machine.answer(step: 60)
    machine.publish(took: .seconds(20))
    machine.send(.stepped(progress(70)))
    machine.driver.stage(70)
    machine.send(.stepped(progress(80)))
    machine.send(.preemptionNotice(Self.notice(10)))
    machine.elapse(until: machine.driver.now.monotonic + .seconds(1))
    #expect(
      machine.driver.log.contains(.note(.saveTooLong(takes: .seconds(20) + .milliseconds(1), newest: 70))))
    #expect(!Self.kinds(machine.driver.log).contains("request(saveAndLeave)"))
    #expect(machine.driver.state.publication?.step == 70)
    #expect(machine.driver.log.contains(.signal(.terminate)))
  }

  /// The same without a notice: a stop whose grace time is shorter than a save.
  @Test func stopTooShortForSaveIsReported() {
    var policy = Policy.timed
    policy.grace = .seconds(10)
    var machine = Machine(policy)
    machine.send(.checkpointRequested)
    machine.answer(step: 60)
    machine.publish(took: .seconds(20))
    machine.send(.stepped(progress(70)))
    machine.driver.stage(70)
    machine.send(.stepped(progress(80)))
    machine.send(.stopRequested)
    #expect(
      machine.driver.log.contains(.note(.saveTooLong(takes: .seconds(20) + .milliseconds(1), newest: 70))))
    #expect(machine.driver.state.publication?.step == 70)
  }

  @Test func publishingDurationIsPersisted() {
    var machine = Machine()
    machine.send(.checkpointRequested)
    machine.answer(step: 60)
    machine.publish(took: .seconds(20))
    let next = Driver(standing: machine.driver.state.standing)
    #expect(next.state.schedule.publishing == .seconds(20))
  }

  @Test func warningSavesWithoutStopping() {
    var machine = Machine()
    let asked = machine.send(.preemptionWarning(source: "test", text: "rebalance"))
    #expect(Self.kinds(asked).contains("request(save)"))
    machine.answer(step: 61)
    #expect(machine.driver.state.publication?.step == 61)
    machine.elapse(until: machine.driver.now.monotonic + .seconds(10_000))
    #expect(machine.driver.state.stop == nil)
  }

  /// A program that says "30 seconds" every second does not give more time with each.
  @Test func repeatedNoticeWithoutClockDoesNotExtendDeadline() {
    var machine = Machine()
    machine.send(.preemptionNotice(Self.notice(30)))
    let deadline = machine.driver.state.preemption?.deadline
    machine.driver.wait(.seconds(5))
    machine.send(.preemptionNotice(Self.notice(30)))
    #expect(machine.driver.state.preemption?.deadline == deadline)
    var later = Self.notice(3600)
    later.deadline = machine.driver.now.wall + .seconds(600)
    machine.send(.preemptionNotice(later))
    #expect(machine.driver.state.preemption?.deadline == machine.driver.now.monotonic + .seconds(600))
  }

  @Test func programWithoutProtocolHasGraceTime() {
    var driver = Driver()
    driver.send(.begin(driver.remains(.beginning)))
    driver.send(.started)
    let began = driver.now.monotonic
    let actions = driver.send(.preemptionNotice(Self.notice(120)))
    #expect(actions.contains(.arm(.preemption, at: began + .seconds(95))))
    driver.wait(.seconds(95))
    #expect(driver.send(.timer(.preemption)).contains(.signal(.terminate)))
  }

  @Test func sourceClockTakesPrecedenceWithinBounds() {
    let now = Moment(monotonic: .seconds(100), wall: .seconds(1_000_000))
    func lead(deadline: Int, saidAt: Int?) -> Duration {
      PreemptionNotice(
        source: "", action: "", deadline: .seconds(deadline), saidAt: saidAt.map { .seconds($0) },
        longestLead: .seconds(120)
      ).lead(at: now)
    }
    #expect(lead(deadline: 1_000_090, saidAt: nil) == .seconds(90))
    #expect(lead(deadline: 1_000_000, saidAt: 999_910) == .seconds(90), "our clock is fast")
    #expect(lead(deadline: 2_000_000, saidAt: nil) == .seconds(120), "our clock is slow by days")
    #expect(lead(deadline: 5, saidAt: nil) == .zero)
  }
}
