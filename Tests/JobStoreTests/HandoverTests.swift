import POSIX
import Testing
import TrainerProtocol

@testable import JobStore

/// Between attempts: the remaining records of the last ring are reported at once and written together with
/// the next attempt's beginning.
@Suite struct HandoverTests {
  /// A writer that commits only on request.
  private static func desk(_ fixture: Fixture) throws -> Desk {
    try Desk(fixture, lookInterval: .seconds(3600))
  }

  private static func attempt(_ number: UInt64) -> StoreOperation {
    .attempt(
      AttemptRecord(attempt: number, generation: number, boot: "b", startedAtNs: 1, resumedFrom: nil))
  }

  private static func end(_ desk: Desk) {
    let gate = Gate()
    desk.writer.detach(durable: false) { gate.open() }
    gate.wait()
  }

  /// Number of unread records for another supervisor.
  private static func unread(_ fixture: Fixture) throws -> Int {
    try RingReader.open(directory: fixture.directory).drain(limit: .max) { _, _ in }
  }

  @Test func oneCommitContainsEndAndNextBeginning() throws {
    let fixture = try Fixture()
    let desk = try Self.desk(fixture)
    defer { desk.close() }
    #expect(desk.writer.submitAndWait([Self.attempt(1)]))
    for step in 1...50 as ClosedRange<UInt64> { fixture.step(step) }
    desk.writer.attach(fixture.reader, attempt: 1)
    Self.end(desk)
    #expect(desk.drained.last?.newest?.step == 50)
    let written = try desk.store.snapshotCount()
    // If the writer's thread ran before the end, it was written as usual.
    #expect(written == 0 || written == 50)
    #expect(try Self.unread(fixture) == 50 - written)
    #expect(desk.writer.submitAndWait([Self.attempt(2)]))
    #expect(try desk.store.snapshotCount() == 50 && desk.store.attempts.newest(1).last?.attempt == 2)
    #expect(try Self.unread(fixture) == 0)
    #expect(desk.drained.reduce(0) { $0 + $1.snapshots } == 50, "told once")
  }

  @Test func replayIsComparedBeforeItIsWritten() throws {
    let fixture = try Fixture()
    let desk = try Self.desk(fixture)
    defer { desk.close() }
    for step in 1...20 as ClosedRange<UInt64> { fixture.step(step) }
    desk.drain(fixture, attempt: 1)
    try fixture.nextAttempt()
    for step in 11...20 as ClosedRange<UInt64> { fixture.step(step, rng: step == 15 ? 0 : nil) }
    desk.writer.attach(fixture.reader, attempt: 2)
    Self.end(desk)
    #expect(desk.replayed == 10 && desk.difference?.step == 15 && desk.difference?.part == "rng")
    // The next attempt's ring does not replace unwritten records.
    try fixture.nextAttempt()
    fixture.step(21)
    desk.drain(fixture, attempt: 3)
    #expect(desk.replayed == 10)
    #expect(try desk.store.newestSnapshots(11).map(\.attempt) == Array(repeating: 2, count: 10) + [3])
  }

  /// The choice of the next resume point reads it from the store.
  @Test func fullSnapshotIsWrittenImmediately() throws {
    let fixture = try Fixture()
    let desk = try Self.desk(fixture)
    defer { desk.close() }
    fixture.step(1, image: [1, 2, 3])
    desk.writer.attach(fixture.reader, attempt: 1)
    Self.end(desk)
    #expect(try desk.store.fullSnapshotStep() == 1 && desk.store.snapshotCount() == 1)
  }

  @Test func lastRecordsAreWrittenWithoutAnotherAttempt() throws {
    let fixture = try Fixture()
    let desk = try Self.desk(fixture)
    for step in 1...5 as ClosedRange<UInt64> { fixture.step(step) }
    desk.writer.attach(fixture.reader, attempt: 1)
    desk.writer.detach(durable: false) {}
    desk.close()
    #expect(try desk.store.snapshotCount() == 5)
  }
}
