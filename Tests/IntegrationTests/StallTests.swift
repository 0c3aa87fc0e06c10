import Foundation
import Testing

/// A trainer that makes no steps, and a supervisor that records none.
@Suite struct StallTests {
  private static let command = [Programs.trainer, "--epochs", "3000", "--step-delay", "50ms"]

  private static func check(_ bench: Workbench) throws -> Int32 {
    try bench.holdfast(["status", "--check", "--state-dir", bench.state]).status
  }

  private static func events(_ bench: Workbench) throws -> String {
    try bench.holdfast(["events", "--state-dir", bench.state]).out
  }

  @Test func stalledTrainerIsShown() throws {
    let bench = Workbench()
    defer { bench.close() }
    let metrics = "\(bench.base)/metrics.prom"
    try bench.start(["--stage-every", "1h", "--every", "1h", "--metrics-file", metrics], Self.command)
    try bench.wait(for: "a few steps") { try bench.status("step") > 40 }
    let before = try bench.json(["status"])
    #expect(before["stalled"] as? Bool == false && before["last_step_at"] is String)
    let trainer = try #require(bench.trainerPID)
    kill(trainer, SIGSTOP)
    defer { kill(trainer, SIGCONT) }
    try bench.wait(for: "the pause") {
      try bench.holdfast(["status", "--state-dir", bench.state]).out
        .contains(#/Pause: no step for \d.* s \(usually \d+ ms\)/#)
    }
    try bench.wait(for: "the degradation") { try bench.json(["status"])["stalled"] as? Bool == true }
    let text = try bench.holdfast(["status", "--state-dir", bench.state]).out
    #expect(text.contains(#/Degraded: no step for \d+ s \(usually \d+ ms\)/#), "\(text)")
    #expect(text.contains(#/Loop: .* \d+ s ago/#) && !text.contains("Pause:"), "\(text)")
    #expect(try Self.check(bench) == 5)
    let status = try bench.json(["status"])
    let age = try #require(status["last_step_age_seconds"] as? Double)
    #expect(age > 10)
    let rate = try #require(status["steps_per_second"] as? Double)
    #expect(rate < (before["steps_per_second"] as? Double ?? 0))
    #expect((status["eta_seconds"] as? Double ?? 0) > (before["eta_seconds"] as? Double ?? .infinity))
    try bench.wait(for: "the metrics") {
      let text = (try? String(contentsOfFile: metrics, encoding: .utf8)) ?? ""
      return text.contains(#/holdfast_degradations{[^}]*} 1\n/#)
        && text.contains(#/holdfast_last_step_age_seconds{[^}]*} \d\d/#)
    }
    kill(trainer, SIGCONT)
    try bench.wait(for: "the end of the stall") { try bench.json(["status"])["stalled"] as? Bool == false }
    try bench.wait(for: "health") { try Self.check(bench) == 0 }
    let events = try Self.events(bench)
    #expect(events.contains("no step for more than 10 s (usually "), "\(events)")
    #expect(events.contains("the trainer makes steps again, after "), "\(events)")
  }

  @Test func stoppedSupervisorIsShown() throws {
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try bench.start(["--stage-every", "1h", "--every", "1h"], Self.command)
    try bench.wait(for: "a few steps") { try bench.status("step") > 40 }
    kill(supervisor.processIdentifier, SIGSTOP)
    defer { kill(supervisor.processIdentifier, SIGCONT) }
    try bench.wait(for: "the degradation") { try Self.check(bench) == 5 }
    let text = try bench.holdfast(["status", "--state-dir", bench.state]).out
    #expect(
      text.contains("are not recorded: the supervisor (pid \(supervisor.processIdentifier)) is stopped"),
      "\(text)")
    kill(supervisor.processIdentifier, SIGCONT)
    try bench.wait(for: "health") { try Self.check(bench) == 0 }
    #expect(try !Self.events(bench).contains("no step for"), "the trainer made steps")
  }
}
