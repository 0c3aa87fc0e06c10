import Foundation
import Testing

/// `list`, and what refers to it.
@Suite struct ListTests {
  private static func environment(_ bench: Workbench) -> [String: String] {
    ["XDG_STATE_HOME": bench.base + "/home", "XDG_CONFIG_HOME": bench.base + "/config"]
  }

  private static func jobs(_ bench: Workbench) throws -> [String: [String: Any]] {
    let result = try bench.holdfast(["list", "--json"], environment: environment(bench))
    #expect(result.status == 0, "\(result.err)")
    let object = try JSONSerialization.jsonObject(with: Data(result.out.utf8)) as? [String: Any]
    #expect(object?["format_version"] as? Int == 1)
    let jobs = try #require(object?["jobs"] as? [[String: Any]])
    // Other tests have jobs at the same time.
    let own = jobs.filter { ($0["state_directory"] as? String)?.hasPrefix(bench.base) == true }
    return Dictionary(uniqueKeysWithValues: own.map { ($0["job"] as? String ?? "", $0) })
  }

  private static func run(_ bench: Workbench, _ job: String, _ command: [String]) throws {
    let options = ["run", "--job", job, "--run-dir", bench.run + "-\(job)", "--max-stalls", "1", "--"]
    defer { try? FileManager.default.removeItem(atPath: bench.run + "-\(job)") }
    _ = try bench.holdfast(options + command, environment: environment(bench))
  }

  @Test func everyJobHasALine() throws {
    let bench = Workbench()
    defer { bench.close() }
    let empty = try bench.holdfast(["status"], environment: Self.environment(bench))
    #expect(empty.status == 66 && empty.err.contains("holdfast list"), "\(empty)")
    try Self.run(bench, "done", [Programs.trainer, "--epochs", "1"])
    try Self.run(bench, "failing", ["false"])
    // A damaged store, an enabled unit that was never started, and a job at another place.
    let damaged = bench.base + "/home/holdfast/damaged/store"
    let wants = bench.base + "/config/systemd/user/default.target.wants"
    for directory in [damaged, wants, bench.base + "/config/holdfast"] {
      try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }
    _ = try bench.write("home/holdfast/damaged/store/data.mdb", "no database")
    _ = try bench.write("config/holdfast/unit.toml", "command = [\"true\"]\n")
    _ = try bench.write("config/holdfast/plain.toml", "command = [\"true\"]\n")
    try FileManager.default.createSymbolicLink(
      atPath: wants + "/holdfast@unit.service", withDestinationPath: "/nonexistent")
    try bench.start(["--stage-every", "1h"], [Programs.trainer, "--epochs", "3000", "--step-delay", "20ms"])
    try bench.wait(for: "a step") { try bench.status("step") > 0 }

    let jobs = try Self.jobs(bench)
    #expect(jobs.keys.sorted() == ["damaged", "done", "failing", "test", "unit"])
    #expect(jobs["done"]?["state"] as? String == "finished" && jobs["done"]?["step"] as? Int == 45)
    #expect(jobs["failing"]?["state"] as? String == "gave_up")
    #expect(jobs["damaged"]?["state"] is NSNull && jobs["damaged"]?["error"] is String)
    #expect(jobs["test"]?["state"] as? String == "running" && jobs["test"]?["supervised"] as? Bool == true)
    #expect(jobs["test"]?["state_directory"] as? String == bench.state)
    #expect(jobs["unit"]?["state"] as? String == "new")
    #expect(jobs["unit"]?["unit"] as? String == "holdfast@unit.service")

    let text = try bench.holdfast(["list"], environment: Self.environment(bench)).out
    let lines = text.split(separator: "\n")
    #expect(lines.first?.hasPrefix("JOB ") == true)
    #expect(lines.contains { $0.contains(#/^done +finished +45 +1 .* ago +\//#) }, "\(text)")
    #expect(lines.contains { $0.contains(#/^damaged +unreadable +.*MDB_INVALID/#) }, "\(text)")
    #expect(lines.contains { $0.contains(#/^unit +not started +- .*holdfast@unit\.service$/#) }, "\(text)")
  }

  @Test func statusOfOneOfManyJobsRefersToTheList() throws {
    let bench = Workbench()
    defer { bench.close() }
    try Self.run(bench, "one", ["true"])
    let only = try bench.holdfast(["status"], environment: Self.environment(bench))
    #expect(only.status == 0 && only.out.contains("one: finished"), "\(only)")
    try Self.run(bench, "two", ["true"])
    let status = try bench.holdfast(["status"], environment: Self.environment(bench))
    #expect(status.status == 64 && status.err.contains("2 jobs found; name one"), "\(status)")
    #expect(status.err.contains("  hint: holdfast list  all jobs\n"), "\(status)")
  }
}
