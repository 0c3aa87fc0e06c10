import Foundation
import Testing

/// What a trainer answers reaches the supervisor, though its record finds no room in the ring.
@Suite struct LostAnswerTests {
  @Test func answerWithoutRecordIsReadFromHeader() throws {
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try bench.start(
      ["--stage-every", "50ms", "--every", "1h"], [Programs.faulty, "absurd-unrecorded"])
    // The request's sequence in the ring's header: another one follows only an answer.
    try bench.wait(for: "several requests") {
      guard let header = FileManager.default.contents(atPath: bench.run + "/ring-0"), header.count > 400
      else { return false }
      return header[392..<400].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) } >= 4
    }
    for _ in 0..<2 { kill(supervisor.processIdentifier, SIGTERM) }
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 75, "\(bench.standardError)")
  }
}
