import Foundation
import Testing

/// What outlives a supervisor that is killed.
@Suite struct SupervisorDeathTests {
  /// Four attempts without progress are allowed in all, not four for each supervisor.
  @Test func attemptsAndBudgetSurviveSupervisor() throws {
    let bench = Workbench()
    defer { bench.close() }
    let options = ["--max-stalls", "4"]
    let command = [Programs.faulty, "die-before-attaching"]
    let first = try bench.start(options, command)
    try bench.wait(for: "the pause after the second attempt") {
      // In the store, not only said.
      try bench.status("attempts") == 2 && bench.status("restart_budget") == 2
    }
    kill(first.processIdentifier, SIGKILL)
    first.waitUntilExit()
    #expect(try bench.attempts().count == 2)
    #expect(try bench.supervise(options, command) == 69)
    #expect(try bench.attempts().map { $0["attempt"] as? Int } == [1, 2, 3, 4])
    #expect(bench.standardError.contains("giving up: 4 attempts in a row made no progress"))
    // Whoever tries again after that has all of it.
    #expect(try bench.supervise(["--max-stalls", "2"], command) == 69)
    #expect(try bench.attempts().count == 6)
  }

  /// The supervisor does not see the answer for the end of an epoch, and is killed. The next one resumes from that very
  /// image, whose end of an epoch does not come again.
  @Test func anEndOfAnEpochThatWasOnlyStagedIsPublished() throws {
    let bench = Workbench()
    defer { bench.close() }
    let options = ["--every-epochs", "1", "--keep-last", "99", "--every", "1d", "--stage-every", "1d"]
    let command = [Programs.trainer, "--epochs", "4", "--step-delay", "30ms"]
    let supervisor = try bench.start(options, command)
    try bench.wait(for: "the middle of the second epoch") { try bench.status("step") >= 60 }
    kill(supervisor.processIdentifier, SIGSTOP)
    try bench.wait(for: "the third epoch") { try bench.stepInRing() >= 95 }
    kill(supervisor.processIdentifier, SIGKILL)
    supervisor.waitUntilExit()
    #expect(try bench.supervise(options, command) == 0, "\(bench.standardError)")
    #expect(bench.standardError.contains("resumed from step 90 (staged)"), "\(bench.standardError)")
    let kept = try bench.listedCheckpoints()
    #expect(kept.map(\.step) == [180, 135, 90, 45], "\(bench.standardError)")
    #expect(kept.allSatisfy { $0.savedFor.contains("epochs=1") }, "\(kept)")
  }

  /// A checkpoint is damaged between attempts, and the job resumes from the arena without reading it.
  /// When newer ones push it out, it is read first, named, and kept.
  @Test func damagedOldCheckpointIsReportedAndRetained() async throws {
    let length = ["--epochs", "6"]
    let expected = try await Undisturbed.shared.digest(length)
    let bench = Workbench()
    defer { bench.close() }
    let options = ["--stage-every", "20ms", "--every", "150ms"]
    let command = [Programs.trainer] + length + ["--step-delay", "12ms"]
    let supervisor = try bench.start(options, command)
    try bench.wait(for: "two checkpoints") {
      bench.standardError.components(separatedBy: "is durable").count > 3
    }
    // Something newer must be in the arena, or the job resumes from the checkpoint.
    try bench.wait(for: "a newer image") { try bench.status("staged_step") > bench.status("durable_step") }
    kill(supervisor.processIdentifier, SIGKILL)
    supervisor.waitUntilExit()
    let before = try names(bench)
    let newest = try #require(before.first)
    let file = bench.state + "/checkpoints/\(newest)/state.safetensors"
    try Workbench.flipBit(of: file, at: 50_000)
    let damaged = try Data(contentsOf: URL(fileURLWithPath: file))

    #expect(try bench.supervise(options, command) == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == expected)
    #expect(bench.standardError.contains("checkpoint \(newest) is damaged"), "\(bench.standardError)")
    let published = bench.standardError.components(separatedBy: "is durable").count - 1
    #expect(published > before.count + 3, "several newer ones were made")
    #expect(try Data(contentsOf: URL(fileURLWithPath: file)) == damaged, "it is kept as it is")
    let list = try #require(try bench.json(["checkpoints", "list"])["checkpoints"] as? [[String: Any]])
    let states = list.map { $0["state"] as? String }
    #expect(list.count == 3 && states == ["complete", "complete", "damaged"], "\(list)")
    #expect(list.last?["name"] as? String == newest)
    #expect(try bench.holdfast(["checkpoints", "list", "--state-dir", bench.state]).out.contains("DAMAGED"))
    // On disk is what the list says, and no other.
    let onDisk = try FileManager.default.contentsOfDirectory(atPath: bench.state + "/checkpoints")
    #expect(Set(onDisk) == Set(list.compactMap { $0["name"] as? String }))
  }

  /// Newest first.
  private func names(_ bench: Workbench) throws -> [String] {
    let list = try #require(try bench.json(["checkpoints", "list"])["checkpoints"] as? [[String: Any]])
    return list.compactMap { $0["name"] as? String }
  }
}
