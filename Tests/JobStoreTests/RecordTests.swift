import POSIX
import Reporting
import SystemPackage
import Testing
import TrainerProtocol
import Vocabulary

@testable import JobStore

@Suite struct RecordTests {
  @Test func submittedRecordsAreRead() throws {
    let fixture = try Fixture()
    let desk = try Desk(fixture)
    defer { desk.close() }
    let job = JobRecord(job: "resnet", id: JobID(), createdAtNs: 5, command: ["python", "train.py"])
    var attempt = AttemptRecord(
      attempt: 1, generation: 1, boot: "b", startedAtNs: 7,
      resumedFrom: .init(level: Stored(.staged), step: 3))
    attempt.failure = Failure(type: "ValueError", message: "no", traceback: "…")
    let checkpoint = CheckpointRecord(
      name: "step-9", step: 9, cut: CutID(), attempt: 1, epoch: 0, batch: 9, bytes: 10, digest: "ab",
      digestAlgorithm: "xxh128", createdAtNs: 8, tookNs: 1, metrics: ["loss": .nan, "top": .infinity])
    #expect(desk.writer.submitAndWait([.job(job), .attempt(attempt), .checkpoint(checkpoint)]))
    #expect(try desk.store.job() == job)
    #expect(try desk.store.attempts.newest(.max) == [attempt])
    #expect(try desk.store.attempts[1] == attempt)
    #expect(try desk.store.attempts[2] == nil)
    let read = try #require(try desk.store.checkpoints().first)
    // A NaN loss must not be lost.
    #expect(read.metrics["loss"]?.isNaN == true && read.metrics["top"] == .infinity)
    #expect(desk.writer.submitAndWait([.removeCheckpoint(checkpoint)]))
    #expect(try desk.store.checkpoints().isEmpty)
  }

  /// Records are read without Foundation's decoder, with the same result.
  @Test func checkpointsAreReadAsTheDecoderReadsThem() throws {
    var record = CheckpointRecord(
      name: "step-9-\"é\"", step: .max, cut: CutID(), attempt: 1, epoch: 2, batch: 3, bytes: 4, digest: "ab",
      digestAlgorithm: "xxh128", createdAtNs: 5, tookNs: 6,
      metrics: ["loss": -.infinity, "top": 1, "exact": 0.1, "large": 1e300, "whole": -3])
    func check(_ text: [UInt8]) throws {
      let decoded: CheckpointRecord = try #require(JSON.decode(text))
      #expect(text.withUnsafeBytes { CheckpointRecord.read($0) } == decoded)
    }
    try check(JSON.encode(record))
    (record.savedFor, record.replicatedAtNs) = (["interval=600s", "steps=1000"], 7)
    (record.damage, record.verifiedAtNs, record.weightsOnly) = ("missing", 8, true)
    record.sha256 = "cd"
    record.adopted = AdoptedFile(path: "out/a.ckpt", isDirectory: true, modifiedAtNs: 9, bytes: 10)
    for (label, value) in Mirror(reflecting: record).children {
      #expect("\(value)" != "nil", "\(label ?? ""): a new field is to be read, and tested here")
    }
    try check(JSON.encode(record))
    let older = """
      {"attempt":1,"batch":2,"bytes":3,"created_at_ns":4,"cut":"\(CutID().hexadecimal)","epoch":5,"metrics":{},
      "name":"a","sha256":"ff","step":6,"took_ns":7}
      """
    try check(Array(older.utf8))
    // Anything else is left to the decoder.
    for text in [
      "", "{}", "[]", older + "x", older.replacing("3", with: "-3"), older.replacing("{}", with: "1"),
    ] {
      #expect(Array(text.utf8).withUnsafeBytes { CheckpointRecord.read($0) } == nil, "\(text)")
    }
  }

  @Test func checkpointsOfOneStepAreDistinguishedByCut() throws {
    let fixture = try Fixture()
    let desk = try Desk(fixture)
    defer { desk.close() }
    func record(_ step: UInt64, _ name: String) -> CheckpointRecord {
      CheckpointRecord(
        name: name, step: step, cut: CutID(), attempt: 1, epoch: 0, batch: 0, bytes: 0, digest: "",
        digestAlgorithm: "xxh128", createdAtNs: 0, tookNs: 0, metrics: [:])
    }
    let records = [record(256, "c"), record(1, "a"), record(1, "b")]
    #expect(desk.writer.submitAndWait(records.map { .checkpoint($0) }))
    let names = try desk.store.checkpoints().map(\.name)
    #expect(Set(names.prefix(2)) == ["a", "b"] && names.last == "c")
  }

  @Test func eventsAreNumberedAndBounded() throws {
    let fixture = try Fixture()
    var limits = StoreLimits()
    limits.events = 10
    for life in 0..<3 as Range<UInt64> {
      let desk = try Desk(fixture, limits: limits)
      for number in 0..<12 as Range<UInt64> {
        let event = EventRecord(
          timeNs: number, kind: Stored(text: "test"), attempt: life, step: nil, isWarning: false,
          message: "\(number)")
        #expect(desk.writer.submitAndWait([.event(event)]))
      }
      // Numbers continue after restarts of the supervisor.
      let last = (life + 1) * 12
      #expect(try desk.store.events.newest(.max).map(\.sequence) == Array(last - 9...last))
      #expect(try desk.store.events.first(.max, after: last - 2).map(\.message) == ["10", "11"])
      #expect(try desk.store.events.newest(3).map(\.sequence) == [last - 2, last - 1, last])
      desk.close()
    }
  }

  @Test func readerWithoutWriterSeesTheSame() throws {
    let fixture = try Fixture()
    do {
      let desk = try Desk(fixture)
      for step in 1...5 as ClosedRange<UInt64> { fixture.step(step) }
      desk.drain(fixture, attempt: 1)
      desk.close()
    }
    let store = try JobStore(stateDirectory: fixture.state, .readOnly)
    #expect(try store.snapshotCount() == 5)
    #expect(try store.newestSnapshots(2).map(\.step) == [4, 5])
  }

  @Test func stoppedWriterRejectsSubmissions() throws {
    let fixture = try Fixture()
    let desk = try Desk(fixture)
    desk.close()
    #expect(!desk.writer.submitAndWait([.document("late", 1)]))
    #expect(try desk.store.meta("late") == nil)
  }
}
