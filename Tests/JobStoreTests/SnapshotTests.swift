import LMDB
import POSIX
import TestSupport
import Testing
import TrainerProtocol

@testable import JobStore

@Suite struct SnapshotTests {
  @Test func stepIsReadAsWritten() throws {
    let fixture = try Fixture()
    let desk = try Desk(fixture)
    defer { desk.close() }
    let metrics = [1.25, .nan, -0.0, .infinity]
    fixture.step(1234, metrics: metrics)
    desk.drain(fixture, attempt: 7)
    let row = try #require(try desk.store.snapshot(at: 1234))
    #expect(row.attempt == 7 && row.epoch == 12 && row.batch == 34 && row.samples == 1234 * 32)
    #expect(row.timeNs == 1_234_000 && row.phase == 0)
    #expect(row.metrics.map(\.bitPattern) == metrics.map(\.bitPattern))
    #expect(row.rngDigest != 0 && row.samplerDigest != 0 && row.rngDigest != row.samplerDigest)
    #expect(try desk.store.snapshot(at: 1233) == nil)
  }

  /// In any order of steps, the newest record of each is retained.
  @Test(arguments: [1, 2, 3, 4, 5] as [UInt64])
  func behavesAsADictionary(seed: UInt64) throws {
    var random = Generator(seed: seed)
    let fixture = try Fixture()
    let desk = try Desk(fixture)
    defer { desk.close() }
    var model: [UInt64: Double] = [:]
    var position: UInt64 = 1
    for attempt in 1...6 as ClosedRange<UInt64> {
      if attempt > 1 {
        try fixture.nextAttempt()
        position = UInt64.random(in: 1...position + 2, using: &random)
      }
      for _ in 0..<Int.random(in: 0..<400, using: &random) {
        let metric = Double(attempt) + Double(position) / 1e6
        #expect(fixture.step(position, metrics: [metric]))
        model[position] = metric
        position += 1
      }
      desk.drain(fixture, attempt: attempt)
      let rows = try desk.store.newestSnapshots(.max)
      #expect(rows.map(\.step) == model.keys.sorted(), "seed \(seed), attempt \(attempt)")
      #expect(rows.allSatisfy { model[$0.step] == $0.metrics[0] }, "seed \(seed), attempt \(attempt)")
      #expect(try desk.store.snapshotCount() == model.count)
    }
  }

  @Test func damagedRowsAreSkipped() throws {
    let fixture = try Fixture()
    let desk = try Desk(fixture)
    defer { desk.close() }
    for step in 1...5 as ClosedRange<UInt64> { fixture.step(step) }
    desk.drain(fixture, attempt: 1)
    // The newest rows, as appending depends on their keys.
    try overwrite(desk, step: 4) { $0[20] ^= 1 }
    try overwrite(desk, step: 5) { $0 = [1, 2, 3] }
    #expect(try desk.store.newestSnapshots(10).map(\.step) == [1, 2, 3])
    let again = try Desk(adopting: desk)
    defer { again.close() }
    try fixture.nextAttempt()
    for step in 4...6 as ClosedRange<UInt64> { fixture.step(step) }
    again.drain(fixture, attempt: 2)
    #expect(try desk.store.newestSnapshots(10).map(\.step) == [1, 2, 3, 4, 5, 6])
    #expect(again.degradations.isEmpty)
    // A damaged row cannot be compared.
    #expect(again.replayed == 0 && again.difference == nil)
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func randomBytesInAnyDatabaseAreSkipped(seed: UInt64) throws {
    var random = Generator(seed: seed)
    let fixture = try Fixture()
    let desk = try Desk(fixture)
    defer { desk.close() }
    let databases = desk.store.databases
    for database in [
      databases.snapshots, databases.attempts, databases.checkpoints, databases.events, databases.meta,
    ] {
      try desk.environment.write { transaction in
        for _ in 0..<200 {
          let key = bytes(1...24, &random)
          try JobStore.put(transaction, database, key, bytes(0...200, &random))
        }
      }
    }
    for name in ["job", "live", "metric_names"] {
      try desk.environment.write {
        try JobStore.put($0, databases.meta, Array(name.utf8), bytes(0...50, &random))
      }
    }
    #expect(try desk.store.newestSnapshots(.max).isEmpty, "seed \(seed)")
    #expect(try desk.store.attempts.newest(.max).isEmpty && desk.store.checkpoints().isEmpty, "seed \(seed)")
    #expect(try desk.store.events.newest(.max).isEmpty, "seed \(seed)")
    #expect(try desk.store.job() == nil && desk.store.live() == nil && desk.store.metricNames().isEmpty)
    fixture.step(1)
    desk.drain(fixture, attempt: 1)
    #expect(try desk.store.snapshot(at: 1) != nil, "seed \(seed)")
    #expect(desk.degradations.isEmpty, "seed \(seed)")
  }

  @Test func newestFullSnapshotIsStored() throws {
    let fixture = try Fixture()
    let desk = try Desk(fixture)
    defer { desk.close() }
    #expect(try desk.store.fullSnapshot() == nil)
    fixture.step(1, image: [1, 2, 3])
    fixture.step(2, image: [4, 5, 6])
    fixture.step(3)
    desk.drain(fixture, attempt: 1)
    let full = try #require(try desk.store.fullSnapshot())
    #expect(full.step == 2 && full.image == [4, 5, 6])
    // With one byte changed on disk, it is not returned.
    let meta = desk.store.databases.meta
    let key = Array("full_snapshot/0".utf8)
    try desk.environment.write { transaction in
      var value = try key.withUnsafeBytes { try transaction.get(meta, $0).map { Array($0) } } ?? []
      value[value.count - 1] ^= 4
      try JobStore.put(transaction, meta, key, value)
    }
    #expect(try desk.store.fullSnapshot() == nil)
  }

  @Test func mapGrowsWhileWriting() throws {
    let fixture = try Fixture(capacityBytes: 32 << 20)
    let desk = try Desk(fixture)
    defer { desk.close() }
    let before = desk.environment.mapBytes
    let metrics = (0..<40).map { Double($0) }
    for step in 1...60_000 as ClosedRange<UInt64> { #expect(fixture.step(step, metrics: metrics)) }
    desk.drain(fixture, attempt: 1)
    #expect(try desk.store.snapshotCount() == 60_000)
    #expect(desk.environment.mapBytes > before)
    #expect(desk.replayed == 0)
  }

  private func bytes(_ count: ClosedRange<Int>, _ random: inout Generator) -> [UInt8] {
    (0..<Int.random(in: count, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
  }

  private func overwrite(_ desk: Desk, step: UInt64, _ change: (inout [UInt8]) -> Void) throws {
    let key = Key.snapshot(rank: 0, step: step)
    let snapshots = desk.store.databases.snapshots
    try desk.environment.write { transaction in
      var row = try #require(try key.withUnsafeBytes { try transaction.get(snapshots, $0).map { Array($0) } })
      change(&row)
      try JobStore.put(transaction, snapshots, key, row)
    }
  }
}
