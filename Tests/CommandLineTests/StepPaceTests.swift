import Testing

@testable import HoldfastCLI

/// Rate and age of steps, as seen from now.
@Suite struct StepPaceTests {
  private static let second: UInt64 = 1_000_000_000
  /// 200 steps, 50 ms apart; the last at 1,000 s.
  private static let steps: [StepPace.Step] = (1...200).map { number in
    StepPace.Step(number: number, attempt: 1, timeNs: 1000 * second - (200 - number) * 50_000_000)
  }

  private static func pace(after seconds: Double, isRunning: Bool = true) -> StepPace {
    StepPace(
      steps, runningSince: isRunning ? 900 * second : nil,
      nowNs: 1000 * second + UInt64(seconds * 1e9))
  }

  @Test(arguments: [0, 0.9, 2.5]) func recentStepIsNoPause(after: Double) throws {
    let pace = Self.pace(after: after)
    #expect(pace.age == after && pace.silence == nil)
    #expect(try #require(pace.usual).rounded(to: 1000) == 0.05)
    #expect(try #require(pace.stepsPerSecond).rounded(to: 100) == 20)
  }

  @Test func pauseLowersTheRate() throws {
    let pace = Self.pace(after: 49)
    #expect(pace.silence == 49 && pace.age == 49)
    #expect(try #require(pace.stepsPerSecond) < 4)
    #expect(try #require(pace.stepsPerSecondWithoutPause).rounded(to: 100) == 20, "for the time of a replay")
    #expect(try #require(Self.pace(after: 490).stepsPerSecond) < 0.5)
  }

  @Test func nothingIsExpectedOfAJobThatDoesNotRun() throws {
    let pace = Self.pace(after: 49, isRunning: false)
    #expect(pace.age == 49 && pace.silence == nil)
    #expect(try #require(pace.stepsPerSecond).rounded(to: 100) == 20)
  }

  @Test func implausibleTimesDoNotTrap() {
    for time in [0, 1, 950 * Self.second, UInt64.max] {
      for attempt in [1, UInt64.max] {
        let steps = Self.steps + [.init(number: 0, attempt: attempt, timeNs: time)]
        let pace = StepPace(steps, runningSince: 900 * Self.second, nowNs: 1000 * Self.second)
        #expect(pace.age.map { (0...100).contains($0) } == true)
        _ = StepPace(steps, runningSince: .max, nowNs: 0)
      }
    }
    #expect(StepPace([], runningSince: 0, nowNs: 1).age == nil)
  }
}

extension Double {
  fileprivate func rounded(to scale: Double) -> Double { (self * scale).rounded() / scale }
}
