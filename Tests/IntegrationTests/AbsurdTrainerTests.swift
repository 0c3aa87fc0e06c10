import Foundation
import Testing

/// Records that are well-formed and absurd: the greatest numbers, steps that go back, as many metrics
/// as a record can count, answers to what nobody asked. Nobody who reads them may fall over them: not
/// the supervisor, not the next one, no command.
@Suite struct AbsurdTrainerTests {
  /// Each in text and in JSON, with the supervisor alive or dead.
  private func readEverything(_ bench: Workbench, _ when: String) throws {
    let commands = [
      ["status"], ["status", "--json"], ["history"], ["history", "--json"], ["history", "--attempt", "1"],
      ["events"], ["events", "--json"], ["checkpoints", "list"], ["checkpoints", "list", "--json"],
      ["checkpoints", "verify"],
    ]
    for command in commands {
      let result = try bench.holdfast(command + ["--state-dir", bench.state])
      #expect(result.status == 0, "\(command) \(when): \(result.status) \(result.err.suffix(2000))")
      if command.contains("--json") {
        for line in result.out.split(separator: "\n") {
          #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(line.utf8)) }
        }
      }
    }
  }

  private func watch(_ bench: Workbench) throws {
    let command = "\(Programs.holdfast) status --watch --state-dir \(bench.state)"
    let line = try bench.shell("timeout 30 \(command) --json | head -n 1")
    #expect(line.out.hasPrefix("{"), "\(line)")
    let drawn = try bench.terminal("timeout --foreground 2 \(command)")
    // 124: it was still drawing.
    #expect([0, 124].contains(drawn.status), "\(drawn.status) \(drawn.out.suffix(2000))")
    #expect(drawn.out.contains("test  running  attempt 1"), "\(drawn.out.suffix(2000))")
  }

  /// The automatic interval follows from the time of a copy, not from that of new pages.
  @Test func coldCopiesDoNotDelayTheNextOnes() throws {
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try bench.start([], [Programs.faulty, "absurd-cold"])
    try bench.wait(for: "the third request") { FileManager.default.fileExists(atPath: bench.run + "/asked") }
    #expect(supervisor.isRunning, "\(bench.standardError)")
    try bench.killBoth(supervisor)
  }

  @Test(arguments: ["steps", "order", "metrics", "answers", "failure"])
  func extremeRecordsBreakNothing(kind: String) throws {
    let bench = Workbench()
    defer { bench.close() }
    let options = ["--stage-every", "20ms", "--every", "100ms", "--max-stalls", "1"]
    let command = [Programs.faulty, "absurd-\(kind)"]
    let first = try bench.start(options, command)
    let said = bench.run + "/said"
    func waitUntilSaid() throws {
      try bench.wait(for: "what the trainer says") { FileManager.default.fileExists(atPath: said) }
      // The ring is empty: all of it is in the store.
      try bench.wait(for: "the store") { try bench.isDrained() }
    }
    try waitUntilSaid()
    #expect(first.isRunning, "\(bench.standardError)")
    try readEverything(bench, "while it runs")
    try watch(bench)
    try bench.killBoth(first)
    try readEverything(bench, "when nobody lives")

    // The next supervisor reads what the first one left, and sees the same again.
    try FileManager.default.removeItem(atPath: said)
    let second = try bench.start(options, command)
    try waitUntilSaid()
    kill(try #require(bench.trainerPID), SIGKILL)
    second.waitUntilExit()
    #expect(second.terminationReason == .exit, "\(bench.standardError)")
    #expect([69, 74, 75].contains(second.terminationStatus), "\(second.terminationStatus)")
    #expect(try bench.attempts().count == 2)
    try readEverything(bench, "after its end")
  }
}
