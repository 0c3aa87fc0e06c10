import Supervision
import Testing
import Vocabulary

/// What fails after the loop, and what fails again and again.
@Suite struct FailureTests {
  /// Its export fails: the loop is complete, but the job did not succeed.
  @Test(arguments: [Supervision.ExitStatus.exited(3), .signaled(11), .signaled(9)])
  func failureAfterLoopIsRetriedThenGivesUp(status: Supervision.ExitStatus) {
    var driver = Driver()
    driver.run(to: 20)
    let complete = ResumePoint.checkpoint(level: .staged, step: 20)
    for attempt in 1...6 {
      if driver.state.phase == .backingOff { driver.send(.timer(.backoff)) }
      #expect(driver.state.phase == (attempt == 1 ? .running : .starting))
      driver.send(.started)
      driver.send(.attached())
      driver.send(.finished(step: 20, slot: 0))
      let actions = driver.end(status, driver.remains(complete))
      #expect(actions.publishes(20) == (attempt == 1), "durable at the first failure")
      if attempt == 1 { driver.send(.published(slot: 0, step: 20, took: .seconds(1))) }
    }
    #expect(driver.state.ending == .gaveUp)
    #expect(driver.state.standing.completedStep == 20)
  }

  @Test func successAfterLoopFailureFinishes() {
    var driver = Driver()
    driver.run(to: 20)
    let complete = ResumePoint.checkpoint(level: .staged, step: 20)
    driver.send(.finished(step: 20, slot: 0))
    driver.end(.signaled(9), driver.remains(complete))
    driver.send(.started)
    driver.send(.attached())
    driver.send(.finished(step: 20, slot: 1))
    driver.end(.exited(0), driver.remains(complete))
    driver.send(.published(slot: 0, step: 20, took: .seconds(1)))
    #expect(driver.state.ending == .finished)
  }

  /// A program of several fits reports the end of each.
  @Test func stepsAfterFinishRevokeIt() {
    var driver = Driver()
    driver.run(to: 20)
    driver.stage(20)
    driver.send(.finished(step: 20, slot: driver.state.offered))
    #expect(driver.send(.timer(.stage)).isEmpty)
    let actions = driver.send(.stepped(progress(21)))
    #expect(driver.state.attempt?.finishedStep == nil)
    #expect(actions.contains { if case .arm(.stage, _) = $0 { true } else { false } })
    driver.stage(21)
    driver.end(.exited(0), driver.remains(.checkpoint(level: .staged, step: 21)))
    #expect(driver.state.ending != .finished)
  }

  /// Both were read from the ring at once, and steps are reported first.
  @Test func finishBeforeKnownStepsIsIgnored() {
    var driver = Driver()
    driver.run(to: 20)
    driver.send(.stepped(progress(25)))
    driver.send(.finished(step: 20, slot: driver.state.offered))
    #expect(driver.state.attempt?.finishedStep == nil)
    driver.send(.finished(step: 25, slot: driver.state.offered))
    #expect(driver.state.attempt?.finishedStep == 25)
  }

  /// Ends attempt after attempt with one failure, each a step further saved.
  private static func fail(
    _ driver: inout Driver, _ count: Int, _ place: FailurePlace?, furthest: (UInt64) -> UInt64
  ) {
    for number in 1...UInt64(count) where driver.state.phase != .done && driver.state.phase != .backingOff {
      driver.send(.started)
      driver.send(.attached())
      let resume = ResumePoint.checkpoint(level: .staged, step: driver.state.resume.step + 1)
      driver.end(
        .exited(1),
        Remains(
          resume: resume, progress: progress(60), slots: driver.state.slots, failure: place,
          furthest: furthest(number)))
    }
  }

  private static let mistake = FailurePlace(
    type: "ValueError", message: "0x7f", traceback: "  File \"train.py\", line 42, in main\n    x()\n")

  @Test func tenIdenticalFailuresAreNoProgress() {
    var driver = Driver()
    driver.send(.begin(driver.remains(.beginning)))
    Self.fail(&driver, 9, Self.mistake) { _ in 60 }
    #expect(driver.state.phase == .starting && driver.state.standing.stalls == 0)
    Self.fail(&driver, 1, Self.mistake) { _ in 60 }
    #expect(driver.state.phase == .backingOff, "the tenth waits, whatever it saved")
    let tally = Standing.FailureTally(place: Self.mistake, count: 10, furthest: 60)
    #expect(driver.log.contains(.note(.repeatsFailure(tally))))
    for _ in 0..<5 where driver.state.phase == .backingOff {
      driver.send(.timer(.backoff))
      Self.fail(&driver, 1, Self.mistake) { _ in 60 }
    }
    #expect(driver.state.ending == .gaveUp || driver.state.phase == .settling)
  }

  @Test func newFurthestStepIsProgress() {
    var driver = Driver()
    driver.send(.begin(driver.remains(.beginning)))
    Self.fail(&driver, 30, Self.mistake) { 60 + $0 }
    #expect(driver.state.phase == .starting && driver.state.standing.stalls == 0)
  }

  @Test func differentOrNoFailureResetsCount() {
    let other = FailurePlace(
      type: "ValueError", message: "", traceback: "  File \"train.py\", line 43, in main")
    for between in [other, nil] {
      var driver = Driver()
      driver.send(.begin(driver.remains(.beginning)))
      for _ in 0..<3 {
        Self.fail(&driver, 9, Self.mistake) { _ in 60 }
        Self.fail(&driver, 1, between) { _ in 60 }
      }
      #expect(driver.state.phase == .starting && driver.state.standing.stalls == 0)
    }
  }

  @Test func failureIsIdentifiedByInnermostLine() {
    func place(_ traceback: String?, message: String = "") -> String {
      FailurePlace(type: "E", message: message, traceback: traceback).place
    }
    let chained = """
      Traceback (most recent call last):
        File "a.py", line 3, in inner
      ZeroDivisionError

      During handling of the above exception, another exception occurred:

        File "a.py", line 9, in <module>
        File "dir with \"quote\"/b.py", line 12, in f
          raise E("File \"c.py\", line 1")
      E: x
      """
    #expect(place(chained) == "dir with \"quote\"/b.py:12")
    #expect(place("  | Traceback\n  |   File \"g.py\", line 7, in task") == "g.py:7")
    #expect(place("no frames here", message: "tensor 17 at 0x7fab") == "tensor # at #")
    #expect(place(nil, message: "tensor 8 at 0x5510ff") == "tensor # at #")
  }
}
