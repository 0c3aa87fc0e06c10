import Testing
import TrainerProtocol

@testable import JobStore

@Suite struct ThinningTests {
  private func limits() -> StoreLimits {
    var limits = StoreLimits()
    limits.thinned = 64
    limits.snapshots = 1000
    limits.batch = 500
    return limits
  }

  private func run(_ fixture: Fixture, _ desk: Desk, _ steps: ClosedRange<UInt64>) throws {
    for start in stride(from: steps.lowerBound, through: steps.upperBound, by: 500) {
      for step in start...min(start + 499, steps.upperBound) { #expect(fixture.step(step)) }
      desk.drain(fixture, attempt: 1)
    }
  }

  @Test func onlyHistoryBeforeTheOldestCheckpointIsThinned() throws {
    let fixture = try Fixture()
    let desk = try Desk(fixture, limits: limits())
    defer { desk.close() }
    try run(fixture, desk, 1...500)
    #expect(try desk.store.snapshotCount() == 500)
    desk.writer.setOldestKept(step: 400)
    try run(fixture, desk, 501...600)
    let steps = try desk.store.newestSnapshots(.max).map(\.step)
    let history = steps.filter { $0 < 400 }
    #expect(history.count <= 64 && history.count >= 32)
    // At multiples of a power of two, without gaps.
    #expect(history == Array(stride(from: 8, to: 400, by: 8)))
    #expect(steps.filter { $0 >= 400 } == Array(400...600))
  }

  /// The limit also applies without a checkpoint or with a permanently retained one.
  @Test func numberOfRowsIsBounded() throws {
    let fixture = try Fixture()
    let desk = try Desk(fixture, limits: limits())
    defer { desk.close() }
    var used: [Int] = []
    for round in 0..<24 as Range<UInt64> {
      try run(fixture, desk, round * 1000 + 1...round * 1000 + 1000)
      // Plus the rows of one commit.
      #expect(try desk.store.snapshotCount() <= 1000 + 500, "round \(round)")
      used.append(desk.store.usedBytes)
    }
    let steps = try desk.store.newestSnapshots(.max).map(\.step)
    #expect(steps.last == 24_000 && steps.suffix(800) == Array(23_201...24_000)[...])
    #expect(steps.filter { $0 < 23_000 }.count <= 64)
    // Pages of deleted rows are reused, so the file stops growing.
    #expect(used[23] <= used[11] + used[11] / 4, "\(used)")
  }

  @Test func thinningContinuesAfterRestart() throws {
    let fixture = try Fixture()
    for life in 0..<4 as Range<UInt64> {
      let desk = try Desk(fixture, limits: limits())
      desk.writer.setOldestKept(step: life * 1000)
      try run(fixture, desk, life * 1000 + 1...life * 1000 + 1000)
      try fixture.nextAttempt()
      let history = try desk.store.newestSnapshots(.max).map(\.step).filter { $0 < life * 1000 }
      #expect(history.count <= 64, "life \(life)")
      desk.close()
    }
  }
}
