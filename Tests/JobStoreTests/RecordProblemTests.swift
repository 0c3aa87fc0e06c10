import Testing
import TrainerProtocol

@testable import JobStore

/// Invalid records of every kind, through a ring and the writer.
@Suite struct RecordProblemTests {
  private static let garbage: [[UInt8]] = [
    [], [0], Array("{}".utf8), Array("[]".utf8), Array("{\"pid\":\"x\"}".utf8),
    [UInt8](repeating: 0xff, count: 100),
  ]

  @Test(arguments: [RecordKind.attached, .snapshot, .staged, .failure, .finished, .metricNames])
  func invalidRecordsAreReported(kind: RecordKind) throws {
    for bytes in Self.garbage {
      let fixture = try Fixture()
      let desk = try Desk(fixture)
      defer { desk.close() }
      fixture.step(1)
      #expect(fixture.trainer.append(kind, bytes))
      fixture.step(2)
      desk.drain(fixture, attempt: 1)
      let problems = desk.drained.flatMap(\.problems)
      let controls = desk.drained.flatMap(\.controls)
      let isEmptyList = kind == .metricNames && bytes == Array("[]".utf8)
      let isLong = kind == .finished || kind == .staged
      #expect(problems.isEmpty == isEmptyList, "\(kind) \(bytes.prefix(20)): \(problems)")
      #expect(problems.allSatisfy { $0.kind == kind })
      if kind == .attached || kind == .failure || kind == .finished { #expect(controls.count == 1) }
      if isLong, bytes.count == 100 { #expect(problems.map(\.field) == ["outcome"]) }
      #expect(try desk.store.snapshotCount() == 2, "records before and after are read")
    }
  }

  @Test func repeatedProblemsAreReportedOnce() throws {
    let fixture = try Fixture()
    let desk = try Desk(fixture)
    defer { desk.close() }
    for step in 1...500 as ClosedRange<UInt64> {
      #expect(fixture.trainer.append(.snapshot, [UInt8](repeating: 7, count: Int(step % 50))))
    }
    desk.drain(fixture, attempt: 1)
    #expect(desk.drained.allSatisfy { $0.problems.count <= 1 })
  }
}
