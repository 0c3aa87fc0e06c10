import LMDB
import Reporting
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

  @Test func identicalReplayHasNoDifference() throws {
    let (replayed, difference) = try replay { $0.step($1, metrics: [.nan, Double($1)]) }
    #expect(replayed == 10 && difference == nil)
  }

  @Test func firstDifferenceIsReported() throws {
    let (replayed, difference) = try replay { fixture, step in
      fixture.step(step, metrics: [.nan, Double(step) + (step >= 14 ? 1e-9 : 0)])
    }
    #expect(replayed == 10 && difference?.step == 14 && difference?.part == "metrics")
  }

  @Test(arguments: ["rng", "sampler", "position", "metrics", "sign"])
  func eachPartIsCompared(part: String) throws {
    let (_, difference) = try replay { fixture, step in
      let metrics = part == "metrics" ? [.nan] : [part == "sign" ? -.nan : .nan, Double(step)]
      fixture.step(
        step, metrics: metrics, rng: part == "rng" ? 0 : nil, sampler: part == "sampler" ? 0 : nil,
        batch: part == "position" ? 99 : nil)
    }
    #expect(difference?.step == 11 && difference?.part == (part == "sign" ? "metrics" : part))
  }

  /// A supervisor that died between commit and release reads its last records again, which is not a replay.
  @Test func recordsReadTwiceAreNotAReplay() throws {
    let fixture = try Fixture()
    let desk = try Desk(fixture)
    defer { desk.close() }
    for step in 1...10 as ClosedRange<UInt64> { fixture.step(step) }
    desk.drain(fixture, attempt: 1)
    try fixture.nextAttempt()
    for step in 1...10 as ClosedRange<UInt64> { fixture.step(step) }
    // The same attempt, as after a restart of the supervisor.
    desk.drain(fixture, attempt: 1)
    #expect(desk.replayed == 0)
    #expect(try desk.store.snapshotCount() == 10)
  }

  /// Records at the beginning of an attempt, and its steps.
  private func names(_ fixture: Fixture, _ names: [String]) {
    #expect(fixture.trainer.append(.metricNames, JSON.encode(names)))
  }

  @Test func differencesAreNamed() throws {
    let fixture = try Fixture()
    let desk = try Desk(fixture)
    defer { desk.close() }
    names(fixture, ["loss", "accuracy"])
    for step in 1...5 as ClosedRange<UInt64> { fixture.step(step, metrics: [1.5, 0.25]) }
    desk.drain(fixture, attempt: 1)
    try fixture.nextAttempt()
    names(fixture, ["loss", "accuracy"])
    for step in 3...6 as ClosedRange<UInt64> { fixture.step(step, metrics: [1.5, 0.75], rng: 99, batch: 7) }
    desk.drain(fixture, attempt: 2)
    let items: [ReplayAudit.Item] = [
      .init(part: "position", name: "batch", recorded: 3, replayed: 7), .init(part: "rng", name: "dropout"),
      .init(part: "metrics", name: "accuracy", recorded: 0.25, replayed: 0.75),
    ]
    #expect(desk.difference == .init(step: 3, items: items))
    // It is stored permanently.
    let deviation = Deviation(attempt: 2, difference: .init(step: 3, items: items))
    #expect(try desk.store.deviation() == deviation)
    try fixture.nextAttempt()
    for step in 1...6 as ClosedRange<UInt64> { fixture.step(step, metrics: [9, 9]) }
    desk.drain(fixture, attempt: 3)
    #expect(try desk.store.deviation() == deviation, "the first one stays")
  }

  /// A resumed program may declare its validation's metrics later than before, or in another order.
  @Test func metricsAreComparedByName() throws {
    let fixture = try Fixture()
    let desk = try Desk(fixture)
    defer { desk.close() }
    names(fixture, ["loss"])
    fixture.step(1, metrics: [1])
    names(fixture, ["loss", "validation"])
    for step in 2...6 as ClosedRange<UInt64> { fixture.step(step, metrics: [1, step == 5 ? 4 : .nan]) }
    desk.drain(fixture, attempt: 1)
    // Before and after validation.
    try fixture.nextAttempt()
    names(fixture, ["loss"])
    for step in 3...4 as ClosedRange<UInt64> { fixture.step(step, metrics: [1]) }
    names(fixture, ["loss", "validation"])
    for step in 5...6 as ClosedRange<UInt64> { fixture.step(step, metrics: [1, step == 5 ? 4 : .nan]) }
    desk.drain(fixture, attempt: 2)
    // In another order, after a supervisor that was killed.
    let next = try Desk(adopting: desk)
    defer { next.close() }
    try fixture.nextAttempt()
    names(fixture, ["validation", "loss"])
    for step in 3...6 as ClosedRange<UInt64> { fixture.step(step, metrics: [step == 5 ? 4 : .nan, 1]) }
    next.drain(fixture, attempt: 3)
    #expect(desk.difference == nil && next.difference == nil && next.replayed == 4)
    try fixture.nextAttempt()
    names(fixture, ["loss", "validation"])
    fixture.step(5, metrics: [1, 8])
    next.drain(fixture, attempt: 4)
    let item = ReplayAudit.Item(part: "metrics", name: "validation", recorded: 4, replayed: 8)
    #expect(next.difference == .init(step: 5, items: [item]))
  }

  /// A store of an earlier version: one digest of all random streams, one of all samplers.
  @Test func rowsOfFormat1AreCompared() throws {
    func row(_ fixture: Fixture, rng: UInt64? = nil) throws -> [UInt8] {
      fixture.step(7, rng: rng)
      var row: [UInt8] = []
      _ = fixture.reader.drain(limit: 10) { kind, payload in
        guard kind == .snapshot, let snapshot = SnapshotView(payload) else { return }
        let digests = snapshot.chainedDigests()
        row = [UInt8](
          repeating: 0, count: SnapshotRow.bytes(metricBytes: snapshot.metricBytes.count, parts: 0))
        row.withUnsafeMutableBytes { bytes in
          SnapshotRow.write(snapshot, attempt: 1, digests: digests, parts: [], into: bytes)
          bytes[0] = 1
          bytes.storeBytes(of: 0, toByteOffset: 4, as: UInt32.self)
          let head = CRC32.checksum(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[..<4]))
          let all = CRC32.checksum(
            UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[8...]), head)
          bytes.storeBytes(of: all.littleEndian, toByteOffset: 4, as: UInt32.self)
        }
      }
      return row
    }
    for rng in [nil, 5] as [UInt64?] {
      let fixture = try Fixture()
      let desk = try Desk(fixture)
      desk.close()
      let old = try row(fixture, rng: rng)
      try desk.store.environment!.write { transaction in
        try JobStore.put(transaction, desk.store.databases.snapshots, Key.snapshot(rank: 0, step: 7), old)
      }
      #expect(try desk.store.snapshot(at: 7)?.metrics == [1.5], "it is readable")
      let next = try Desk(adopting: desk)
      try fixture.nextAttempt()
      fixture.step(7)
      next.drain(fixture, attempt: 2)
      next.close()
      #expect(next.replayed == 1 && next.difference?.items == (rng == nil ? nil : [.init(part: "rng")]))
    }
  }
}
