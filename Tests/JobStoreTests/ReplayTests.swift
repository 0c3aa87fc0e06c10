import Testing
import TrainerProtocol

@testable import JobStore

@Suite struct ReplayTests {
  private func replay(_ change: (Fixture, UInt64) -> Void) throws -> (UInt64, ReplayAudit.Difference?) {
    let fixture = try Fixture()
    let desk = try Desk(fixture)
    defer { desk.close() }
    for step in 1...20 as ClosedRange<UInt64> { fixture.step(step, metrics: [.nan, Double(step)]) }
    desk.drain(fixture, attempt: 1)
    try fixture.nextAttempt()
    for step in 11...25 as ClosedRange<UInt64> { change(fixture, step) }
    desk.drain(fixture, attempt: 2)
    #expect(try desk.store.newestSnapshots(15).allSatisfy { $0.attempt == 2 })
    #expect(try desk.store.snapshotCount() == 25)
    return (desk.replayed, desk.difference)
  }

  @Test func theSameBitsAreTheSame() throws {
    let (replayed, difference) = try replay { $0.step($1, metrics: [.nan, Double($1)]) }
    #expect(replayed == 10 && difference == nil)
  }

  @Test func theFirstDifferenceIsTold() throws {
    let (replayed, difference) = try replay { fixture, step in
      fixture.step(step, metrics: [.nan, Double(step) + (step >= 14 ? 1e-9 : 0)])
    }
    #expect(replayed == 10 && difference == .init(step: 14, part: "metrics"))
  }

  @Test(arguments: ["rng", "sampler", "position", "metrics", "sign"])
  func eachPartIsCompared(part: String) throws {
    let (_, difference) = try replay { fixture, step in
      let metrics = part == "metrics" ? [.nan] : [part == "sign" ? -.nan : .nan, Double(step)]
      fixture.step(
        step, metrics: metrics, rng: part == "rng" ? 0 : nil, sampler: part == "sampler" ? 0 : nil,
        batch: part == "position" ? 99 : nil)
    }
    #expect(difference == .init(step: 11, part: part == "sign" ? "metrics" : part))
  }

  /// A supervisor that died after a commit and before it gave the room back reads its last records
  /// again; they are no replay.
  @Test func recordsThatAreReadTwiceAreNoReplay() throws {
    let fixture = try Fixture()
    let desk = try Desk(fixture)
    defer { desk.close() }
    for step in 1...10 as ClosedRange<UInt64> { fixture.step(step) }
    desk.drain(fixture, attempt: 1)
    try fixture.nextAttempt()
    for step in 1...10 as ClosedRange<UInt64> { fixture.step(step) }
    // The same attempt, as it would be after a restart of the supervisor.
    desk.drain(fixture, attempt: 1)
    #expect(desk.replayed == 0)
    #expect(try desk.store.snapshotCount() == 10)
  }
}
