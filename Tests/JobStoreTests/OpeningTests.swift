import Foundation
import Glibc
import LMDB
import POSIX
import Reporting
import SystemPackage
import TestSupport
import Testing
import TrainerProtocol

@testable import JobStore

@Suite struct OpeningTests {
  private func code(_ fixture: Fixture, _ access: JobStore.Access) -> StoreErrorCode? {
    do {
      _ = try JobStore(stateDirectory: fixture.state, access)
      return nil
    } catch {
      #expect(error.hint?.text.isEmpty == false && error.description.contains("store"))
      return error.code
    }
  }

  private func filled(_ fixture: Fixture) throws -> [UInt8] {
    do {
      let desk = try Desk(fixture)
      for step in 1...3000 as ClosedRange<UInt64> { fixture.step(step) }
      desk.drain(fixture, attempt: 1)
      desk.close()
    }
    return try FileSystem.read(fixture.state.appending("store/data.mdb"))
  }

  private func replace(_ fixture: Fixture, _ bytes: [UInt8]) throws {
    try FileSystem.replace(fixture.state.appending("store/data.mdb"), with: bytes, durable: false)
  }

  @Test func missingStoreIsReported() throws {
    let fixture = try Fixture()
    #expect(code(fixture, .readOnly) == .missing)
    try FileSystem.makeDirectories(fixture.state.appending("store"))
    #expect(code(fixture, .readOnly) == .missing)
  }

  @Test func newerFormatIsRejected() throws {
    let fixture = try Fixture()
    do {
      let desk = try Desk(fixture)
      #expect(desk.writer.submitAndWait([.document("format_version", 2)]))
      desk.close()
    }
    #expect(code(fixture, .readOnly) == .newerVersion)
    #expect(code(fixture, .create) == .newerVersion)
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func randomBytesAreMovedAside(seed: UInt64) throws {
    var random = Generator(seed: seed)
    let fixture = try Fixture()
    _ = try filled(fixture)
    let bytes = (0..<100_000).map { _ in UInt8.random(in: 0...255, using: &random) }
    try replace(fixture, bytes)
    #expect(code(fixture, .readOnly) == .damaged, "seed \(seed)")
    let store = try JobStore(stateDirectory: fixture.state, .create)
    let aside = try #require(store.repair?.aside)
    #expect(try FileSystem.read(aside) == bytes, "seed \(seed)")
    #expect(try store.snapshotCount() == 0)
  }

  @Test func truncatedFileIsRecovered() throws {
    let fixture = try Fixture()
    let bytes = try filled(fixture)
    for count in [5000, 8192, 12288, 16 * 4096] {
      try replace(fixture, Array(bytes[..<count]))
      #expect(code(fixture, .readOnly) == .damaged, "\(count) bytes")
      let store = try JobStore(stateDirectory: fixture.state, .create)
      #expect(store.repair != nil, "\(count) bytes")
      #expect(try store.snapshotCount() == store.newestSnapshots(.max).count, "\(count) bytes")
    }
  }

  /// The supervisor was killed, or lost power, while it created the store: nothing was lost.
  @Test(arguments: [0, 1, 4096, 8192, 20_000]) func interruptedCreationIsNotDamage(zeros: Int) throws {
    let fixture = try Fixture()
    try FileSystem.makeDirectories(fixture.state.appending("store"))
    try replace(fixture, [UInt8](repeating: 0, count: zeros))
    #expect(code(fixture, .readOnly) == .missing)
    let store = try JobStore(stateDirectory: fixture.state, .create)
    #expect(store.repair == nil)
    #expect(try store.snapshotCount() == 0)
  }

  @Test func environmentWithoutDatabasesIsAnInterruptedCreation() throws {
    let fixture = try Fixture()
    let directory = fixture.state.appending("store")
    try FileSystem.makeDirectories(directory)
    do { _ = try Environment(directory.string) }
    #expect(code(fixture, .readOnly) == .missing)
    #expect(try JobStore(stateDirectory: fixture.state, .create).repair == nil)
  }

  @Test func environmentOfAnotherProgramIsRejected() throws {
    let fixture = try Fixture()
    let directory = fixture.state.appending("store")
    try FileSystem.makeDirectories(directory)
    do {
      let environment = try Environment(directory.string)
      try environment.write { transaction in
        let meta = try #require(try transaction.database("meta", create: true))
        try JobStore.put(transaction, meta, [1], [2])
      }
    }
    let before = try FileSystem.read(directory.appending("data.mdb"))
    #expect(code(fixture, .create) == .damaged)
    #expect(code(fixture, .readOnly) == .damaged)
    #expect(try FileSystem.read(directory.appending("data.mdb")) == before)
  }

  /// A writer that is killed at any moment leaves a store that opens and contains everything reported as
  /// durable.
  @Test(arguments: 1...5) func killedWriterLeavesAValidStore(round: Int) throws {
    let fixture = try Fixture(capacityBytes: 8 << 20)
    let notes = fixture.directory.appending("durable")
    let writer = Process()
    writer.executableURL = URL(fileURLWithPath: Self.killedWriter)
    writer.arguments = [fixture.state.string, notes.string, "\(40 + 37 * round)"]
    try writer.run()
    writer.waitUntilExit()
    #expect(writer.terminationReason == .uncaughtSignal && writer.terminationStatus == SIGKILL)
    let said = try FileSystem.read(notes)
    let durable =
      UInt64(String(decoding: said, as: UTF8.self).split(separator: "\n").dropLast().last ?? "0") ?? 0
    let store = try JobStore(stateDirectory: fixture.state, .create)
    try DataFile(fixture.state.appending("store").string).checkStructure()
    let attempts = try store.attempts.newest(.max)
    #expect(UInt64(attempts.count) >= durable && durable > 0)
    #expect(attempts.map(\.attempt) == Array(1...UInt64(attempts.count)))
  }

  /// The program beside this one. Not an exit test, as those do not notice the end of their child while
  /// another test has a child that was not waited for.
  private static let killedWriter: String = {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    return root.appendingPathComponent(".build/debug/KilledWriter").path
  }()
}
