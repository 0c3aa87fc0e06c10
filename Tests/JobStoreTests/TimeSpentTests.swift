import JobStore
import Testing

/// The breakdown of time: each part is correct, and they add up.
@Suite struct TimeSpentTests {
  private static func attempt(
    _ number: UInt64, _ start: Double, first: Double? = nil, end: Double?, steps: UInt64 = 0,
    replayed: UInt64 = 0, stall: Double = 0
  ) -> AttemptRecord {
    func nanoseconds(_ seconds: Double) -> UInt64 { UInt64(seconds * 1e9) }
    var record = AttemptRecord(
      attempt: number, generation: number, boot: "", startedAtNs: nanoseconds(start), resumedFrom: nil)
    record.firstStepAtNs = first.map(nanoseconds)
    record.endedAtNs = end.map(nanoseconds)
    record.running = end == nil
    record.steps = steps
    record.replayedSteps = replayed
    record.stallNs = nanoseconds(stall)
    return record
  }

  @Test func partsAddUpToTheTotal() throws {
    let attempts = [
      Self.attempt(1, 100, first: 110, end: 160, steps: 50, stall: 5),
      Self.attempt(2, 165, end: 168),  // died before its first step
      Self.attempt(3, 168, first: 170, end: 210, steps: 40, replayed: 10),
    ]
    let spent = TimeSpent(attempts, newestStep: 80, nowNs: nil)
    #expect(spent.startUp == 10 + 3 + 2)
    #expect(spent.saveStall == 5)
    #expect(spent.replay == 10)
    #expect(spent.down == 5)
    #expect(spent.productive == 45 + 30)
    #expect(spent.total == 110)
    #expect(try #require(spent.goodput) == 75.0 / 110)
  }

  @Test func runningAttemptCountsUpToNow() {
    let spent = TimeSpent(
      [Self.attempt(1, 100, first: 101, end: nil)], newestStep: 7, nowNs: 121_000_000_000)
    #expect(spent.productive == 20 && spent.startUp == 1 && spent.total == 21)
  }

  @Test func timeAfterTheLastAttemptIsDownOnlyWhileSupervised() {
    let attempts = [Self.attempt(1, 100, first: 100, end: 110, steps: 10)]
    #expect(TimeSpent(attempts, newestStep: 10, nowNs: 130_000_000_000).down == 20)
    #expect(TimeSpent(attempts, newestStep: 10, nowNs: nil).down == 0)
    #expect(TimeSpent([], newestStep: nil, nowNs: 130_000_000_000).goodput == nil)
  }

  /// The wall clock may be set back between two attempts.
  @Test func noPartIsNegative() {
    let attempts = [
      Self.attempt(1, 100, first: 101, end: 120, steps: 10),
      Self.attempt(2, 90, first: 80, end: 85, steps: 1, replayed: 9, stall: 99),
    ]
    let spent = TimeSpent(attempts, newestStep: 10, nowNs: 50_000_000_000)
    #expect(
      [spent.productive, spent.startUp, spent.saveStall, spent.replay, spent.down].allSatisfy { $0 >= 0 })
  }
}
