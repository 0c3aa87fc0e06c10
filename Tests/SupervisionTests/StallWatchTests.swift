import Testing

@testable import Supervision

/// When a trainer without steps is reported, and when that is over.
@Suite struct StallWatchTests {
  /// A trainer that makes 20 steps in each second, and its watch.
  private struct Watched {
    var driver = Driver()
    var watch = StallWatch()
    var step: UInt64 = 1

    init() {
      driver.run(to: step)
      makeSteps(seconds: 5)
    }

    mutating func makeStep() {
      step += 20
      driver.send(.stepped(progress(step)))
    }

    mutating func makeSteps(seconds: Int) {
      for _ in 0..<seconds {
        driver.wait(.seconds(1))
        makeStep()
        #expect(watch.check(driver.state, now: driver.now.monotonic) == nil)
      }
    }

    /// Waits without steps.
    /// - Returns: when what was reported.
    mutating func wait(seconds: Int) -> [(after: Int, report: StallWatch.Report)] {
      (1...seconds).compactMap { second in
        driver.wait(.seconds(1))
        return watch.check(driver.state, now: driver.now.monotonic).map { (second, $0) }
      }
    }
  }

  @Test func stallIsReportedOnceAndEndsWithNextStep() {
    var watched = Watched()
    let reports = watched.wait(seconds: 49)
    #expect(reports.map(\.after) == [11])
    #expect(reports.first?.report == .began(threshold: .seconds(10), usual: .milliseconds(50)))
    watched.makeStep()
    #expect(
      watched.watch.check(watched.driver.state, now: watched.driver.now.monotonic)
        == .ended(after: .seconds(49)))
    watched.makeSteps(seconds: 20)
  }

  /// A supervisor that was stopped, or a machine that slept: the steps of that time are reported next.
  @Test func watchThatStoodStillReportsNothing() {
    var watched = Watched()
    watched.driver.wait(.seconds(49))
    #expect(watched.watch.check(watched.driver.state, now: watched.driver.now.monotonic) == nil)
    watched.makeSteps(seconds: 3)
    #expect(watched.wait(seconds: 49).count == 1)
  }

  @Test func thresholdFollowsTheTimeOfAStep() {
    var watched = Watched()
    for _ in 0..<50 {
      _ = watched.wait(seconds: 4)
      watched.step += 1
      watched.driver.send(.stepped(progress(watched.step)))
    }
    #expect(watched.wait(seconds: 90).map(\.after) == [80])
  }

  @Test func pauseThatRecursIsUsual() {
    var watched = Watched()
    for isReported in [true, true, false, false] {
      #expect(watched.wait(seconds: 30).isEmpty != isReported)
      watched.makeStep()
      _ = watched.watch.check(watched.driver.state, now: watched.driver.now.monotonic)
      watched.makeSteps(seconds: 5)
    }
    #expect(watched.wait(seconds: 70).map(\.after) == [61], "twice as long as the usual pause")
  }

  @Test func heartbeatsAreSignsOfLife() {
    var watched = Watched()
    for _ in 0..<20 {
      #expect(watched.wait(seconds: 5).isEmpty)
      watched.driver.send(.heartbeat)
    }
  }

  @Test func endOfTheAttemptEndsTheStall() {
    var watched = Watched()
    #expect(watched.wait(seconds: 20).count == 1)
    watched.driver.send(.exited(.signaled(9)))
    #expect(watched.wait(seconds: 20).map(\.report) == [.ended(after: nil)])
  }

  @Test func trainerThatFinishedIsNotStalled() {
    var watched = Watched()
    watched.driver.send(.finished(step: watched.step, slot: nil))
    #expect(watched.wait(seconds: 60).isEmpty)
  }
}
