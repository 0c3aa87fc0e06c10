import Foundation
import Testing

/// SIGTERM and what becomes of a job that is stopped and started again.
@Suite struct StoppingTests {
  static let length = ["--epochs", "3"]
  static let slow = [Programs.trainer] + length + ["--step-delay", "10ms"]

  @Test(arguments: [SIGTERM, SIGINT])
  func stopSavesAndNextStartHasSameResult(signal: Int32) async throws {
    let expected = try await Undisturbed.shared.digest(Self.length)
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try bench.start([], Self.slow)
    try bench.wait(for: "a few steps") { try bench.status("step") > 20 }
    kill(supervisor.processIdentifier, signal)
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 75)
    let name = signal == SIGINT ? "SIGINT" : "SIGTERM"
    #expect(try bench.attempts().first?["stopped_by"] as? String == name)
    let status = try bench.json(["status"])
    #expect(status["state"] as? String == "stopped")
    let points = try #require(status["resume_points"] as? [String: Any])
    let power = try #require(points["power"] as? [String: Any])
    #expect(power["replay_steps"] as? Int == 0, "the stop saved its last step")
    #expect(bench.leftovers().isEmpty)
    // As after a reboot: nothing is left of the run directory.
    try FileManager.default.removeItem(atPath: bench.run)
    #expect(try bench.supervise([], Self.slow) == 0)
    #expect(digest(in: bench.standardOutput) == expected)
    #expect(try bench.attempts().first?["outcome"] as? String == "stopped")
    let resumed = try #require(try bench.attempts().last?["resumed_from"] as? [String: Any])
    #expect(resumed["level"] as? String == "durable")
  }

  @Test func stopAndCheckpointCommandsAnswer() throws {
    let bench = Workbench()
    defer { bench.close() }
    // Long enough for a busy machine.
    let supervisor = try bench.start([], [Programs.trainer, "--epochs", "3000", "--step-delay", "10ms"])
    try bench.wait(for: "a few steps") { try bench.status("step") > 5 }
    let checkpoint = try bench.holdfast(["checkpoint", "--state-dir", bench.state])
    #expect(checkpoint.status == 0 && checkpoint.out.contains("is durable"), "\(checkpoint)")
    let stop = try bench.holdfast(["stop", "--state-dir", bench.state])
    #expect(stop.status == 0 && stop.out.contains("stopped at step"), "\(stop)")
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 75)
    let again = try bench.holdfast(["stop", "--state-dir", bench.state])
    #expect(again.status == 0 && again.out.contains("is not running"))
  }

  @Test func terminatedTrainerEndsAttemptOnly() async throws {
    let expected = try await Undisturbed.shared.digest(Self.length)
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try bench.start(["--stage-every", "50ms"], Self.slow)
    try bench.wait(for: "a few steps") { try bench.status("step") > 20 }
    kill(try #require(bench.trainerPID), SIGTERM)
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 0)
    #expect(digest(in: bench.standardOutput) == expected)
    #expect(try bench.attempts().first?["cause"] as? String == "terminated")
  }

  @Test func trainerIgnoringSignalIsKilledWithinGraceTime() throws {
    let bench = Workbench()
    defer { bench.close() }
    let script = try bench.write(
      "deaf", "#!/bin/bash\ntrap '' TERM\nwhile true; do sleep 0.1; done\n", executable: true)
    let supervisor = try bench.start(["--grace", "2s"], [script])
    try bench.wait(for: "the trainer") { bench.trainerPID != nil }
    usleep(200_000)
    kill(supervisor.processIdentifier, SIGTERM)
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 75)
    #expect(bench.leftovers().isEmpty)
    #expect(try bench.attempts().last?["signal"] as? Int == 9)
  }

  @Test func secondSignalKillsTrainer() throws {
    let bench = Workbench()
    defer { bench.close() }
    // A step takes an hour, and the grace time ten: without the hurry nothing comes of the stop.
    let supervisor = try bench.start(
      ["--grace", "10h"], [Programs.trainer, "--epochs", "2", "--step-delay", "3600s"])
    try bench.wait(for: "the first step") { try bench.status("step") >= 1 }
    kill(supervisor.processIdentifier, SIGTERM)
    try bench.wait(for: "the save") { bench.standardError.contains("stopping within") }
    #expect(try bench.json(["status"])["state"] as? String == "saving")
    kill(supervisor.processIdentifier, SIGTERM)
    try bench.wait(for: "the end") { !supervisor.isRunning }
    #expect(supervisor.terminationStatus == 75)
    #expect(try bench.attempts().last?["signal"] as? Int == 9)
    #expect(bench.standardError.contains("second stop request"))
  }

  @Test func stepsLongerThanGraceTimeKeepNewestStagedCheckpoint() throws {
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try bench.start(
      ["--grace", "2s", "--stage-every", "10ms"], [Programs.trainer, "--epochs", "2", "--step-delay", "3s"])
    try bench.wait(for: "a staged step") { try bench.status("staged_step") >= 1 }
    kill(supervisor.processIdentifier, SIGTERM)
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 75)
    #expect(try bench.json(["status"])["durable_step"] as? Int ?? 0 >= 1)
  }

  @Test func finishedJobStartsOverOnlyWithAgain() throws {
    let bench = Workbench()
    defer { bench.close() }
    let command = [Programs.trainer] + Self.length
    #expect(try bench.supervise([], command) == 0)
    let first = digest(in: bench.standardOutput)
    #expect(try bench.supervise([], command) == 0)
    #expect(bench.standardError.contains("nothing to do"))
    #expect(try bench.attempts().count == 1)
    #expect(try bench.supervise(["--again"], command) == 0)
    #expect(digest(in: bench.standardOutput) == first)
    let kept = try bench.holdfast(["history", "--state-dir", bench.state + "/runs/1", "--json"])
    #expect(kept.status == 0 && kept.out.contains("\"finished\""))
  }
}
