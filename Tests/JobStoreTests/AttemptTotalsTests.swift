import POSIX
import Reporting
import StoreFixtures
import Synchronization
import SystemPackage
import Testing
import TrainerProtocol
import Vocabulary

@testable import JobStore

/// Stored sums equal the sums over all attempts and require reading only one row.
@Suite struct AttemptTotalsTests {
  private static func attempt(_ number: UInt64, running: Bool = false) -> AttemptRecord {
    let start = number % 1_000_000 * 10_000_000_000
    var record = AttemptRecord(
      attempt: number, generation: number, boot: "b", startedAtNs: start, resumedFrom: nil)
    record.running = running
    record.endedAtNs = running ? nil : start + number % 7 * 1_000_000_000
    record.cause = running ? nil : Stored([Cause.crashed, .killed, .oomKilled][Int(number % 3)])
    record.steps = number % 5
    record.replayedSteps = number % 2
    record.skippedRecords = number
    record.firstStepAtNs = start + 100_000_000
    return record
  }

  private static func expected(_ store: JobStore) throws -> AttemptTotals {
    var totals = AttemptTotals()
    for record in try store.attempts.newest(.max) {
      totals.add(record, newestStep: 9, nowNs: 10_000_000_000_000)
    }
    return totals
  }

  private static func found(_ store: JobStore) throws -> AttemptTotals {
    try store.attemptSummary().totals(newestStep: 9, nowNs: 10_000_000_000_000)
  }

  @Test func totalsMatchAllAttempts() throws {
    let fixture = try Fixture()
    let desk = try Desk(fixture)
    defer { desk.close() }
    for number in 1...60 as ClosedRange<UInt64> {
      // Like a supervisor: the beginning, an update, and the end together with the next beginning.
      let next = StoreOperation.attempt(Self.attempt(number, running: true))
      let last: [StoreOperation] = number == 1 ? [] : [.attempt(Self.attempt(number - 1))]
      #expect(desk.writer.submitAndWait(last + [next]))
      if number % 20 == 1 { #expect(try Self.found(desk.store) == Self.expected(desk.store), "\(number)") }
    }
    desk.store.rowsRead.store(0, ordering: .relaxed)
    let summary = try desk.store.attemptSummary()
    #expect(summary.newest?.attempt == 60 && summary.earlier.through == 59)
    #expect(desk.store.rowsRead.load(ordering: .relaxed) == 1)
    #expect(try desk.store.attempts.newest(20).map(\.attempt) == Array(41...60))
    #expect(try desk.store.attempts.start(ofNewest: 20) == 40)
    #expect(try desk.store.attempts.start(ofNewest: 1000) == 0)
    #expect(desk.store.rowsRead.load(ordering: .relaxed) == 21)
  }

  /// From a version without sums, from another store, or damaged.
  @Test(arguments: [nil, "[]", "{\"through\":5000}", "{\"through\":18446744073709551615}"])
  func invalidTotalsAreRecomputedOnce(document: String?) throws {
    let fixture = try Fixture()
    do {
      let raw = try RawStore(stateDirectory: fixture.state)
      try raw.write { writing in
        for number in 1...700 as ClosedRange<UInt64> {
          try writing.put(.attempts, number, JSON.encode(Self.attempt(number)))
        }
        // A damaged record is skipped in both.
        try writing.put(.attempts, 300, Array("{".utf8))
        if let document { try writing.put(.meta, "attempt_totals", document) }
      }
    }
    let desk = try Desk(fixture)
    defer { desk.close() }
    #expect(try Self.found(desk.store) == Self.expected(desk.store))
    #expect(desk.writer.submitAndWait([.attempt(Self.attempt(701, running: true))]))
    desk.store.rowsRead.store(0, ordering: .relaxed)
    #expect(try Self.found(desk.store).count == 700)
    #expect(desk.store.rowsRead.load(ordering: .relaxed) == 1)
    #expect(try Self.found(desk.store) == Self.expected(desk.store))
  }

  @Test func recordNumberIsThatOfItsKey() throws {
    let fixture = try Fixture()
    do {
      let raw = try RawStore(stateDirectory: fixture.state)
      try raw.write { writing in
        try writing.put(.attempts, 1, JSON.encode(Self.attempt(.max)))
        try writing.put(.attempts, .max, JSON.encode(Self.attempt(2)))
        try writing.put(.attempts, [1], JSON.encode(Self.attempt(3)))
        try writing.put(.events, .max, Array("{}".utf8))
      }
    }
    let desk = try Desk(fixture)
    defer { desk.close() }
    #expect(try desk.store.attempts.newest(.max).map(\.attempt) == [1])
    #expect(try desk.store.attempts.first(.max).map(\.attempt) == [1])
    let event = EventRecord(
      timeNs: 1, kind: Stored(text: "test"), attempt: 1, step: nil, isWarning: false, message: "first")
    #expect(desk.writer.submitAndWait([.event(event)]))
    #expect(try desk.store.events.newest(.max).map(\.sequence) == [1])
  }

  /// A store that cannot be written for weeks.
  @Test func pendingChangesAreBounded() throws {
    let fixture = try Fixture()
    var changes = PendingChanges(try JobStore(stateDirectory: fixture.state, .create), StoreLimits())
    var dropped: UInt64 = 0
    for number in 1...20_000 as ClosedRange<UInt64> {
      let event = EventRecord(
        timeNs: number, kind: Stored(text: "test"), attempt: number, step: nil, isWarning: false,
        message: "\(number)")
      changes.append([
        .init(
          operations: [
            .attempt(Self.attempt(number / 2)), .event(event), .document("standing", number),
          ], completion: nil)
      ])
      dropped += changes.compactIfMany(from: 1000, keep: 500)
    }
    dropped += changes.compactIfMany(from: 0, keep: 500)
    #expect(changes.submissions.count == 1 && changes.submissions[0].operations.count == 501)
    #expect(dropped > 20_000)
    let last = changes.submissions[0].operations.last
    #expect(last?.target == .meta && last?.value == Array("20000".utf8))
  }
}
