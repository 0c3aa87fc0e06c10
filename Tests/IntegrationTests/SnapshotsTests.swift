import Foundation
import Testing

/// What was recorded of each step, as `holdfast snapshots` shows it.
@Suite struct SnapshotsTests {
  private struct Listing: Decodable {
    struct Step: Decodable {
      struct Part: Decodable {
        var kind: String?
        var name: String
        var digest: String
      }
      var step: Int
      var epoch: Int
      var batch: Int
      var samples: Int
      var attempt: Int
      var phase: String
      var parts: [Part]
      var metrics: [String: Double]
    }
    var snapshots: [Step]
  }

  private static func listing(_ bench: Workbench, _ arguments: [String] = []) throws -> Listing {
    let shown = try bench.holdfast(["snapshots", "--json", "--state-dir", bench.state] + arguments)
    #expect(shown.status == 0, "\(shown.err)")
    return try JSONDecoder().decode(Listing.self, from: Data(shown.out.utf8))
  }

  @Test func eachStepIsListed() throws {
    let bench = Workbench()
    defer { bench.close() }
    #expect(try bench.supervise([], [Programs.trainer, "--epochs", "2"]) == 0, "\(bench.standardError)")
    let all = try Self.listing(bench)
    let count = all.snapshots.count
    #expect(count > 10)
    #expect(all.snapshots.map(\.step) == Array(1...count), "none is missing, none is doubled")
    for step in all.snapshots {
      #expect(step.attempt == 1 && step.phase == "training" && step.metrics["loss"] != nil)
      #expect(step.parts.contains { $0.kind == "rng" && !$0.name.hasPrefix("#") && $0.digest.count == 8 })
      #expect(step.parts.contains { $0.kind == "sampler" && !$0.name.hasPrefix("#") })
    }
    let (first, last) = (all.snapshots[0], all.snapshots[count - 1])
    #expect(first.batch == 1 && first.epoch == 0 && last.samples > first.samples)
    #expect(Set(all.snapshots.map { $0.parts.map(\.digest) }).count > count / 2, "they change")
    #expect(try Self.listing(bench, ["--last", "3"]).snapshots.map(\.step) == [count - 2, count - 1, count])
    #expect(try Self.listing(bench, ["--step", "5"]).snapshots.map(\.step) == [5])

    let one = try bench.holdfast(["snapshots", "--step", "5", "--state-dir", bench.state])
    let stream = try #require(first.parts.first { $0.kind == "rng" }).name
    #expect(
      one.out.contains("Step 5, attempt 1") && one.out.contains("random stream \(stream)"), "\(one.out)")
    let lines = try bench.holdfast(["snapshots", "--last", "2", "--state-dir", bench.state]).out
    #expect(lines.contains("STEP") && lines.contains("loss ") && lines.contains("2 steps"), "\(lines)")
    let none = try bench.holdfast(["snapshots", "--step", "99999", "--state-dir", bench.state])
    #expect(none.status == 66 && none.err.contains("no record of step 99999"), "\(none.status) \(none.err)")
    #expect(try bench.holdfast(["snapshots", "--last", "0", "--state-dir", bench.state]).status == 64)
  }

  /// Commits are a second apart unless a reader sets the access time of the lock.
  @Test(arguments: ["status", "snapshots"]) func readersTriggerCommit(command: String) throws {
    let bench = Workbench()
    defer { bench.close() }
    #expect(try bench.supervise([], ["/bin/true"]) == 0)
    func accessed() throws -> String {
      try bench.shell("stat --format=%X \(bench.state)/lock").out.trimmingCharacters(in: .newlines)
    }
    _ = try bench.shell("touch -a -d @1000000000 \(bench.state)/lock")
    #expect(try accessed() == "1000000000")
    #expect(try bench.holdfast([command, "--state-dir", bench.state]).status == 0)
    #expect(try accessed() != "1000000000")
  }

  /// What waited for the next commit is in the ring, where the next supervisor finds it.
  @Test func noStepIsMissingAfterSupervisorKill() throws {
    let bench = Workbench()
    defer { bench.close() }
    let (options, trainer) = (["--stage-every", "50ms"], [Programs.trainer, "--epochs", "8"])
    let supervisor = try bench.start(options, trainer + ["--step-delay", "10ms"])
    try bench.wait(for: "steps") { try bench.status("step") > 20 }
    // Nobody looks any more: from now on rows wait.
    _ = try bench.shell("touch -a -d @1000000000 \(bench.state)/lock")
    usleep(700_000)
    try bench.killBoth(supervisor)
    #expect(try bench.supervise(options, trainer) == 0, "\(bench.standardError)")
    let steps = try Self.listing(bench).snapshots.map(\.step)
    #expect(steps == Array(1...steps.count) && steps.count == 360, "\(steps)")
  }

  @Test func runningJobIsListed() throws {
    let bench = Workbench()
    defer { bench.close() }
    let run = try bench.start([], [Programs.trainer, "--epochs", "1000", "--step-delay", "20ms"])
    for step in [20, 60, 100] { try bench.wait(for: "steps") { try bench.status("step") > step } }
    run.terminate()
    run.waitUntilExit()
    let all = try Self.listing(bench).snapshots.map(\.step)
    #expect(all == Array(1...all.count) && all.count > 100)
  }
}
