import Glibc
import LMDB
import POSIX
import Reporting
import Synchronization
import SystemPackage
import Testing
import TrainerProtocol
import Vocabulary

@testable import JobStore

/// Snapshots are reported at each check of the ring and written together later, unless an earlier commit is
/// needed.
@Suite struct GroupCommitTests {
  /// Checks the ring continuously, and commits only on request.
  private static func desk(_ fixture: Fixture, isWatched: @escaping @Sendable () -> Bool = { false }) throws
    -> Desk
  {
    let desk = try Desk(
      fixture, lookInterval: .milliseconds(1), commitInterval: .seconds(3600), isWatched: isWatched)
    desk.writer.attach(fixture.reader, attempt: 1)
    return desk
  }

  private static func reported(_ desk: Desk) -> UInt64 { desk.drained.reduce(0) { $0 + $1.snapshots } }

  private static func wait(_ condition: () throws -> Bool) rethrows -> Bool {
    for _ in 0..<5000 {
      if try condition() { return true }
      usleep(2000)
    }
    return false
  }

  /// Number of unread records for another supervisor.
  private static func unread(_ fixture: Fixture) throws -> Int {
    try RingReader.open(directory: fixture.directory).drain(limit: .max) { _, _ in }
  }

  private static let anything = StoreOperation.event(
    EventRecord(timeNs: 1, kind: Stored(text: "test"), attempt: 1, step: nil, isWarning: false, message: ""))

  @Test func snapshotsAreReportedAtOnceAndStayInTheRingUntilTheCommit() throws {
    let fixture = try Fixture()
    let desk = try Self.desk(fixture)
    defer { desk.close() }
    for step in 1...30 as ClosedRange<UInt64> {
      fixture.step(step)
      usleep(500)
    }
    #expect(Self.wait { Self.reported(desk) == 30 })
    #expect(desk.drained.last?.newest?.step == 30 && desk.drained.count > 1)
    #expect(try desk.store.snapshotCount() == 0)
    #expect(try Self.unread(fixture) == 30)
    #expect(desk.writer.submitAndWait([Self.anything]))
    #expect(
      try desk.store.snapshotCount() == 30 && desk.store.newestSnapshots(30).map(\.step) == Array(1...30))
    #expect(try desk.store.meta("loop_state/0") != nil, "one whole loop state")
    #expect(try Self.unread(fixture) == 0)
    for step in 31...40 as ClosedRange<UInt64> { fixture.step(step) }
    #expect(Self.wait { Self.reported(desk) == 40 })
    #expect(desk.writer.submitAndWait([Self.anything]))
    #expect(try desk.store.snapshotCount() == 40)
  }

  @Test func snapshotsAreCommittedAfterTheInterval() throws {
    let fixture = try Fixture()
    let desk = try Desk(fixture, lookInterval: .milliseconds(1), commitInterval: .milliseconds(200))
    defer { desk.close() }
    desk.writer.attach(fixture.reader, attempt: 1)
    fixture.step(1)
    #expect(try Self.wait { try desk.store.snapshotCount() == 1 })
    #expect(Self.reported(desk) == 1)
  }

  @Test(arguments: [
    "an answer", "a full snapshot", "a step again", "a reader", "the end", "much of the ring",
  ])
  func earlyCommit(_ asked: String) throws {
    let fixture = try Fixture()
    let reader = Reader()
    let desk = try Self.desk(fixture) { reader.looks.withLock { $0 } }
    defer { desk.close() }
    for step in 1...10 as ClosedRange<UInt64> { fixture.step(step) }
    #expect(Self.wait { Self.reported(desk) == 10 })
    #expect(try desk.store.snapshotCount() == 0)
    var rows = 10
    switch asked {
    case "an answer":
      #expect(fixture.trainer.append(.metricNames, JSON.encode(["loss"])))
    case "a full snapshot":
      fixture.step(11, image: [1, 2, 3])
      rows = 11
    case "a step again":
      desk.drain(fixture, attempt: 1)
      try fixture.nextAttempt()
      desk.writer.attach(fixture.reader, attempt: 2)
      fixture.step(10)
    case "a reader":
      reader.looks.withLock { $0 = true }
    case "the end":
      desk.writer.detach {}
    default:
      let metrics = [Double](repeating: 1, count: 1000)
      while try desk.store.snapshotCount() == 0, rows < 200 {
        rows += 1
        #expect(fixture.step(UInt64(rows), metrics: metrics))
        usleep(2000)
      }
      #expect(rows < 100)
      rows = try desk.store.snapshotCount()
    }
    #expect(try Self.wait { try desk.store.snapshotCount() == rows })
    if asked == "a step again" { #expect(Self.wait { desk.replayed == 1 }) }
  }

  private final class Reader: Sendable {
    let looks = Mutex(false)
  }

  @Test func nextSupervisorFindsUncommittedSnapshots() throws {
    let fixture = try Fixture()
    let state: [UInt64]
    do {
      let desk = try Self.desk(fixture)
      for step in 1...10 as ClosedRange<UInt64> { fixture.step(step) }
      #expect(Self.wait { Self.reported(desk) == 10 })
      // Its rows are only in memory and in the ring.
      #expect(try Self.unread(fixture) == 10)
      desk.close()
      state = try desk.store.newestSnapshots(10).map(\.step)
    }
    #expect(state == Array(1...10), "a stopped writer writes pending rows")
  }

  @Test func snapshotsAreRetainedWhileTheStoreCannotBeWritten() throws {
    let fixture = try Fixture()
    let desk = try Self.desk(fixture)
    defer { desk.close() }
    for step in 1...10 as ClosedRange<UInt64> { fixture.step(step) }
    #expect(Self.wait { Self.reported(desk) == 10 })
    // Writing to a closed environment fails.
    desk.environment.close()
    desk.writer.submit([Self.anything])
    #expect(Self.wait { !desk.degradations.isEmpty })
    try desk.environment.reopen()
    #expect(try Self.wait { try desk.store.snapshotCount() == 10 })
    #expect(Self.reported(desk) == 10, "told once")
  }

  /// A program that returns to an earlier step between two checks.
  @Test func repeatedStepWithinOneCheckIsAccepted() throws {
    let fixture = try Fixture()
    for step in [1, 2, 3, 2, 3, 4] as [UInt64] { fixture.step(step) }
    let desk = try Self.desk(fixture)
    defer { desk.close() }
    #expect(Self.wait { Self.reported(desk) == 6 })
    #expect(desk.writer.submitAndWait([Self.anything]))
    #expect(try desk.store.newestSnapshots(6).map(\.step) == [1, 2, 3, 4])
    #expect(desk.degradations.isEmpty, "\(desk.degradations)")
  }

  /// A stream that is added later may be before the others; no name is better than a wrong one.
  @Test func onlyRowsOfKnownPartsAreNamed() throws {
    let fixture = try Fixture()
    let desk = try Self.desk(fixture)
    defer { desk.close() }
    fixture.step(1)
    let parts = EncodedParts.encode(
      ["cuda", "dropout"].map { .init(kind: .rng, name: $0, bytes: [1]) }
        + [.init(kind: .sampler, name: "train", bytes: [1])])
    parts.withUnsafeBytes { parts in
      _ = fixture.trainer.appendSnapshot(
        step: 2, epoch: 0, batch: 2, samples: 2, timeNanoseconds: 2, phase: .training,
        metrics: UnsafeBufferPointer(start: nil, count: 0), parts: parts, partCount: 3,
        image: UnsafeRawBufferPointer(start: nil, count: 0))
    }
    #expect(Self.wait { Self.reported(desk) == 2 })
    #expect(desk.writer.submitAndWait([Self.anything]))
    let (one, two) = (try desk.store.recordedStep(1), try desk.store.recordedStep(2))
    #expect(one?.parts.map(\.name) == ["#1", "#2"] && one?.parts.map(\.kind) == [nil, nil])
    #expect(two?.parts.map(\.name) == ["cuda", "dropout", "train"])
    #expect(two?.parts.map(\.kind) == [.rng, .rng, .sampler])
  }

  @Test func readerMarkExpires() throws {
    let fixture = try Fixture()
    try FileSystem.makeDirectories(fixture.state)
    #expect(!ReaderMark.watch(fixture.state)(), "there is no lock")
    try FileSystem.replace(fixture.state.appending("lock"), with: [], durable: false)
    let isFresh = ReaderMark.watch(fixture.state)
    var times = [timespec(tv_sec: 1_000_000_000, tv_nsec: 0), timespec(tv_sec: 1_000_000_000, tv_nsec: 0)]
    #expect(utimensat(AT_FDCWD, fixture.state.appending("lock").string, &times, 0) == 0)
    #expect(!isFresh())
    ReaderMark.set(in: fixture.state)
    #expect(isFresh())
    let modified = FileSystem.modificationNanoseconds(fixture.state.appending("lock"))
    #expect(modified == 1_000_000_000_000_000_000)
  }
}
