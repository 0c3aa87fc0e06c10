import Glibc
import LMDB
import POSIX
import Reporting
import SystemPackage
import TestSupport
import Testing
import TrainerProtocol

@testable import JobStore

/// Damage to a store, closed or open, loses only the contents of the damaged pages.
@Suite struct RepairTests {
  private func dataFile(_ fixture: Fixture) -> FilePath { fixture.state.appending("store/data.mdb") }

  private func fill(_ fixture: Fixture, steps: ClosedRange<UInt64> = 1...3000) throws {
    let desk = try Desk(fixture)
    defer { desk.close() }
    for step in steps { fixture.step(step) }
    desk.drain(fixture, attempt: 1)
    for number in 1...50 as ClosedRange<UInt64> {
      let record = AttemptRecord(
        attempt: number, generation: number, boot: "b", startedAtNs: 1, resumedFrom: nil)
      desk.writer.submit([.attempt(record)])
    }
    let job = JobRecord(job: "job", id: JobID(), createdAtNs: 1, command: ["true"])
    #expect(desk.writer.submitAndWait([.job(job)]))
    // In the previous state, too.
    #expect(desk.writer.submitAndWait([.document("standing", 1)]))
  }

  private func write(_ fixture: Fixture, _ bytes: [UInt8], at offset: Int) throws {
    let file = try OpenFile(dataFile(fixture), .writeOnly)
    try file.seek(to: offset)
    try file.write(all: bytes)
  }

  // MARK: Meta pages

  /// What LMDB leaves after a failed write of a meta page: new roots with old numbers of the transaction and
  /// the last page.
  @Test(arguments: [0, 1]) func oneIntactMetaPageIsEnough(index: Int) throws {
    let fixture = try Fixture()
    try fill(fixture)
    let bytes = try FileSystem.read(dataFile(fixture))
    for damage in [Damage.roots, .magic, .zeros] {
      try FileSystem.replace(dataFile(fixture), with: bytes, durable: false)
      let newest = bytes[144..<152].lexicographicallyPrecedes(bytes[4240..<4248]) ? 1 : 0
      switch damage {
      case .roots:
        // Only in the older one: invalid roots in the newest are detected as damage.
        try write(fixture, [UInt8](repeating: 0xee, count: 8), at: (1 - newest) * 4096 + 128)
      case .magic: try write(fixture, [1, 2, 3, 4], at: index * 4096 + 16)
      case .zeros: try write(fixture, [UInt8](repeating: 0, count: 4096), at: index * 4096)
      }
      #expect(try JobStore(stateDirectory: fixture.state, .readOnly).job() != nil, "\(damage)")
      let store = try JobStore(stateDirectory: fixture.state, .create)
      #expect(store.repair == nil, "\(damage)")
      #expect(try store.snapshotCount() == 3000, "\(damage)")
    }
  }

  private enum Damage { case roots, magic, zeros }

  // MARK: At rest

  @Test func damagedLeafLosesOnlyItsRows() throws {
    let fixture = try Fixture()
    try fill(fixture)
    var bytes = try FileSystem.read(dataFile(fixture))
    // The leaf that contains step 1500, in all its copies.
    let key = Key.snapshot(rank: 0, step: 1500)
    var hits = 0
    for page in 2..<bytes.count / 4096 {
      let range = page * 4096..<(page + 1) * 4096
      guard bytes[page * 4096 + 10] == 2, contains(bytes[range], key) else { continue }
      for offset in range.dropFirst(16).prefix(16) { bytes[offset] = 0xff }
      hits += 1
    }
    #expect(hits > 0)
    try FileSystem.replace(dataFile(fixture), with: bytes, durable: false)
    let store = try JobStore(stateDirectory: fixture.state, .create)
    #expect(store.repair != nil)
    let rows = try store.newestSnapshots(.max)
    #expect(rows.count > 2800 && rows.count < 3000)
    #expect(try store.attempts.count == 50)
    #expect(try store.job()?.job == "job")
    try DataFile(fixture.state.appending("store").string).checkStructure()
  }

  private func contains(_ bytes: ArraySlice<UInt8>, _ pattern: [UInt8]) -> Bool {
    guard let first = pattern.first else { return true }
    for start in bytes.indices where bytes[start] == first {
      if bytes[start...].starts(with: pattern) { return true }
    }
    return false
  }

  /// Killed after the damaged file got its second name, with an incomplete new store beside it.
  @Test func interruptedRepairIsCompletedByTheNext() throws {
    let fixture = try Fixture()
    try fill(fixture)
    try write(fixture, [UInt8](repeating: 0xff, count: 64), at: 0)
    try write(fixture, [UInt8](repeating: 0xff, count: 64), at: 4096)
    let directory = fixture.state.appending("store")
    let aside = directory.appending("damaged-1.mdb")
    let linked = dataFile(fixture).withPlatformString { from in aside.withPlatformString { link(from, $0) } }
    #expect(linked == 0)
    try FileSystem.makeDirectories(directory.appending("new"))
    try FileSystem.replace(directory.appending("new/data.mdb"), with: [1, 2, 3], durable: false)
    let store = try JobStore(stateDirectory: fixture.state, .create)
    #expect(store.repair?.aside == aside)
    // Without meta pages, everything is found by scanning pages.
    #expect(try store.snapshotCount() == 3000)
    #expect(try store.job()?.job == "job" && store.attempts.count == 50)
    #expect(Set(try FileSystem.list(directory)) == ["data.mdb", "damaged-1.mdb"])
  }

  // MARK: While it is open

  private enum Disturbance: CaseIterable {
    case truncated, overwritten, copied, renamedOver, removed, zeroed, pipe
  }

  @Test(arguments: Disturbance.allCases)
  private func damageWhileOpenIsRepaired(disturbance: Disturbance) throws {
    let fixture = try Fixture()
    try fill(fixture)
    let backup = fixture.directory.appending("backup")
    try FileSystem.replace(backup, with: FileSystem.read(dataFile(fixture)), durable: false)
    let desk = try Desk(fixture)
    defer { desk.close() }
    try fixture.nextAttempt()
    #expect(fixture.trainer.append(.metricNames, JSON.encode(["loss"])))
    for step in 3001...4000 as ClosedRange<UInt64> { fixture.step(step) }
    desk.drain(fixture, attempt: 2)

    try disturb(fixture, disturbance, backup)
    try fixture.nextAttempt()
    for step in 4001...4100 as ClosedRange<UInt64> { fixture.step(step) }
    desk.drain(fixture, attempt: 3)
    let record = AttemptRecord(attempt: 3, generation: 3, boot: "b", startedAtNs: 1, resumedFrom: nil)
    #expect(desk.writer.submitAndWait([.attempt(record)]))

    #expect(desk.all.contains { if case .replaced = $0 { true } else { false } })
    #expect(try desk.store.newestSnapshots(100).map(\.step) == Array(4001...4100))
    #expect(try desk.store.attempts[3] == record)
    let names: MetricNames? = try desk.store.document("metric_names_by_attempt")
    #expect(names?.entries.last?.names == ["loss"])
    try DataFile(fixture.state.appending("store").string).checkStructure()
    if [.renamedOver, .removed, .pipe].contains(disturbance) {
      // The open file was complete.
      #expect(try desk.store.snapshotCount() == 4100)
    }
  }

  private func disturb(_ fixture: Fixture, _ disturbance: Disturbance, _ backup: FilePath) throws {
    let path = dataFile(fixture)
    switch disturbance {
    case .truncated: #expect(path.withPlatformString { truncate($0, 3 * 4096) } == 0)
    case .overwritten:
      let bytes = try FileSystem.read(path)
      try write(fixture, bytes.map { $0 &+ 77 }, at: 0)
    case .copied:
      #expect(path.withPlatformString { truncate($0, 0) } == 0)
      try write(fixture, FileSystem.read(backup), at: 0)
    case .renamedOver: try FileSystem.rename(backup, to: path)
    case .removed: try FileSystem.remove(path)
    case .pipe:
      try FileSystem.remove(path)
      #expect(path.withPlatformString { mkfifo($0, 0o600) } == 0)
    case .zeroed: try write(fixture, [UInt8](repeating: 0, count: 100_000), at: 8192)
    }
  }

  /// A change of timestamps only, as by a backup program, is ignored.
  @Test func touchIsNotDamage() throws {
    let fixture = try Fixture()
    try fill(fixture)
    let desk = try Desk(fixture)
    defer { desk.close() }
    #expect(dataFile(fixture).withPlatformString { chmod($0, 0o600) } == 0)
    let record = AttemptRecord(attempt: 51, generation: 51, boot: "b", startedAtNs: 1, resumedFrom: nil)
    #expect(desk.writer.submitAndWait([.attempt(record)]))
    #expect(desk.degradations.isEmpty)
    #expect(!desk.all.contains { if case .replaced = $0 { true } else { false } })
  }
}
