import Foundation
import Testing

/// What a trainer can do wrong, and what each gets.
@Suite struct TrainerFaultTests {
  static let options = ["--stage-every", "20ms", "--every", "200ms"]

  private func undisturbed() throws -> String? {
    digest(in: try Workbench.run(Programs.faulty, ["none"]).out)
  }

  /// Runs a faulty trainer to its end; its fault happens once.
  private func finish(
    _ fault: String, _ bench: Workbench, _ options: [String] = TrainerFaultTests.options
  ) throws {
    let expected = try undisturbed()
    let status = try bench.supervise(options, [Programs.faulty, fault, bench.base + "/marker"])
    #expect(status == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == expected)
    #expect(bench.leftovers().isEmpty)
  }

  @Test func dyingBeforeAttaching() throws {
    let bench = Workbench()
    defer { bench.close() }
    try finish("die-before-attaching", bench)
    #expect(try bench.attempts().map { $0["cause"] as? String } == ["killed", "finished"])
  }

  /// In the middle of the copy, and the supervisor with it: what is left is what a kill at that very
  /// instant leaves. With the third image there is a whole one in the other slot.
  @Test(arguments: [1, 3]) func dyingInTheMiddleOfACopy(number: Int) throws {
    let bench = Workbench()
    defer { bench.close() }
    let command = [Programs.faulty, "die-in-copy-\(number)", bench.base + "/marker"]
    // Nothing is durable before its end.
    let options = ["--stage-every", "20ms", "--every", "1h", "--every-epochs", "off"]
    let supervisor = try bench.start(options, command)
    supervisor.waitUntilExit()
    #expect(supervisor.terminationReason == .uncaughtSignal && supervisor.terminationStatus == SIGKILL)
    try bench.wait(for: "the trainer's end") { bench.leftovers().isEmpty }
    // The image begins at 4096; it ends with the tensor, of which no byte is zero throughout.
    let half = try bench.slot(0)
    #expect(half.complete == 0)
    #expect(half.image.prefix(512 << 10).contains { $0 != 0 }, "its first bytes are there")
    if number == 1 {
      #expect(half.image.suffix(half.image.count / 3).allSatisfy { $0 == 0 }, "its last are not")
    } else {
      #expect(try bench.slot(1).complete == 1)
    }

    #expect(try bench.supervise(options, command) == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == (try undisturbed()))
    let from = try bench.attempts().last?["resumed_from"]
    if number == 1 {
      #expect(from is NSNull, "half an image counts for nothing")
    } else {
      let step = try #require((from as? [String: Any])?["step"] as? Int)
      #expect((from as? [String: Any])?["level"] as? String == "staged" && step > 0)
    }
  }

  @Test func dyingBetweenStagingAndPublishing() throws {
    let bench = Workbench()
    defer { bench.close() }
    // Durable once an hour: whatever is staged is not published when the trainer dies.
    try finish("die-once", bench, ["--stage-every", "20ms", "--every", "1h"])
    let resumed = try #require(try bench.attempts().last?["resumed_from"] as? [String: Any])
    #expect(resumed["level"] as? String == "staged")
  }

  /// Nested components, hooks of a component and of the run, and a save by hand, across a kill.
  @Test func componentsAndHooksSurviveAKill() throws {
    let bench = Workbench()
    defer { bench.close() }
    let expected = digest(in: try Workbench.run(Programs.faulty, ["components"]).out)
    let command = [Programs.faulty, "components", bench.base + "/marker"]
    #expect(try bench.supervise(Self.options, command) == 0, "\(bench.standardError)")
    #expect(expected != nil && digest(in: bench.standardOutput) == expected)
    #expect(try bench.attempts().map { $0["cause"] as? String } == ["killed", "finished"])
    let resumed = try #require(try bench.attempts().last?["resumed_from"] as? [String: Any])
    #expect(try #require(resumed["step"] as? Int) > 0)
    #expect(
      bench.standardOutput.contains(#"saved 60 ["first", "second"] real(0.5) 1"#), "\(bench.standardOutput)")
  }

  @Test func exitingWithoutFinish() throws {
    let bench = Workbench()
    defer { bench.close() }
    try finish("exit-without-finish", bench)
    #expect(try bench.attempts().first?["cause"] as? String == "incomplete")
    #expect(bench.standardError.contains("exited with status 0 without finish()"))
  }

  @Test func failureMessageIsReported() throws {
    let bench = Workbench()
    defer { bench.close() }
    try finish("fail-in-batch", bench)
    let failure = try #require(try bench.attempts().first?["failure"] as? [String: Any])
    #expect(failure["message"] as? String == "Target 1000 is out of bounds")
    let history = try bench.holdfast(["history", "--state-dir", bench.state])
    #expect(history.out.contains("Misfortune: Target 1000 is out of bounds"))
  }

  @Test func survivingWorkersAreKilled() throws {
    let bench = Workbench()
    defer { bench.close() }
    try finish("fork-worker", bench)
  }

  @Test func workersOfKilledSupervisorAreKilledByNext() throws {
    let bench = Workbench()
    defer { bench.close() }
    let command = [Programs.faulty, "fork-worker"]
    let supervisor = try bench.start(Self.options, command)
    try bench.wait(for: "a few steps") { try bench.status("step") > 20 }
    kill(supervisor.processIdentifier, SIGKILL)
    supervisor.waitUntilExit()
    try bench.wait(for: "the trainer's end") { bench.leftovers().count == 1 }
    #expect(try bench.supervise(Self.options, command) == 0)
    #expect(bench.leftovers().isEmpty)
  }

  @Test func closedDescriptorsAreHarmless() throws {
    let bench = Workbench()
    defer { bench.close() }
    #expect(try bench.supervise(Self.options, [Programs.faulty, "close-descriptors"]) == 0)
  }

  /// A lock is its open file's, which a mapping keeps open (flock(2), mmap(2)): a trainer that closes all
  /// it has holds the ring until it ends. Whoever outlives its supervisor is ended before the next starts.
  @Test func leftoverWithoutDescriptorsIsKilledBeforeNextStart() throws {
    let bench = Workbench()
    defer { bench.close() }
    // A child of the supervisor's child: it gets no signal when the supervisor dies.
    let line =
      "\(Programs.faulty) close-after-attaching \(bench.base)/marker & echo $! > \(bench.base)/pid; wait"
    let command = ["/bin/bash", "-c", line]
    let supervisor = try bench.start(Self.options, command)
    try bench.wait(for: "its sleep") { FileManager.default.fileExists(atPath: bench.base + "/marker") }
    let text = try String(contentsOfFile: bench.base + "/pid", encoding: .utf8)
    let old = try #require(Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)))
    let ring = open(bench.run + "/ring-0", O_RDWR)
    #expect(flock(ring, LOCK_EX | LOCK_NB) == -1, "it is held by nothing but the mapping")
    close(ring)
    kill(supervisor.processIdentifier, SIGKILL)
    supervisor.waitUntilExit()
    // Only it is left.
    try bench.wait(for: "the shell's end") { bench.leftovers().count <= 1 }
    #expect(bench.leftovers() == [old])

    let next = try bench.start(Self.options, command)
    try bench.wait(for: "the next attempt") { try bench.attempts().count == 2 }
    #expect(!bench.leftovers().contains(old), "the old trainer is gone by then")
    next.waitUntilExit()
    #expect(next.terminationStatus == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == (try undisturbed()))
    #expect(try bench.attempts().map { $0["cause"] as? String } == ["orphaned", "finished"])
  }

  /// It saves when it is asked to save and leave, and stays; SIGTERM it ignores.
  @Test func trainerIgnoringSIGTERMIsKilled() throws {
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try bench.start(Self.options + ["--grace", "5s"], [Programs.faulty, "ignore-sigterm"])
    try bench.wait(for: "a few steps") { try bench.status("step") > 20 }
    kill(supervisor.processIdentifier, SIGTERM)
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 75)
    #expect(bench.leftovers().isEmpty)
    let attempt = try #require(try bench.attempts().last)
    #expect(attempt["signal"] as? Int == 9 && attempt["cause"] as? String == "stopped")
    let step = try #require(attempt["last_step"] as? Int)
    #expect(try bench.json(["status"])["durable_step"] as? Int == step, "what it saved is durable")
  }

  @Test(arguments: ["hang", "hang-at-once"]) func hangIsKilledAndRecorded(fault: String) throws {
    let bench = Workbench()
    defer { bench.close() }
    try finish(fault, bench, Self.options + ["--step-timeout", "300ms"])
    #expect(try bench.attempts().first?["cause"] as? String == "hang")
  }

  @Test func dyingInSameBatchGivesUpAndReportsIt() throws {
    let bench = Workbench()
    defer { bench.close() }
    let status = try bench.supervise(
      Self.options + ["--max-stalls", "3"], [Programs.faulty, "die-in-batch"])
    #expect(status == 69)
    #expect(bench.standardError.contains("died in batch 60 of epoch 0"), "\(bench.standardError)")
    #expect(
      bench.standardError.contains(
        "error: job 'test' gave up: 3 attempts in a row made no progress past step"))
    #expect(bench.standardError.contains("  hint: holdfast history"))
    let check = try bench.holdfast(["status", "--check", "--state-dir", bench.state])
    #expect(check.status == 69)
  }

  @Test func batchIsSkippedOnRequest() throws {
    let bench = Workbench()
    defer { bench.close() }
    let status = try bench.supervise(
      Self.options + ["--skip-batch-after", "2"], [Programs.faulty, "die-in-batch"])
    #expect(status == 0, "\(bench.standardError)")
    let events = try bench.holdfast(["events", "--state-dir", bench.state])
    #expect(events.out.contains("skipping batch 60 of epoch 0 from now on, after 2 deaths"))
    // One batch fewer is one step fewer.
    #expect(try bench.json(["status"])["step"] as? Int == 119)
  }

  @Test func differingReplayIsReported() throws {
    let bench = Workbench()
    defer { bench.close() }
    // Staged at its first steps and never again: it dies with a replay window behind it.
    let options = ["--stage-every", "1h"]
    let command = [Programs.faulty, "not-deterministic", bench.base + "/marker"]
    #expect(try bench.supervise(options, command) == 0)
    #expect(bench.standardError.contains("differs in its metrics (metric loss is"), "\(bench.standardError)")
    #expect(
      bench.standardError.contains("finished at step 120; it differs from an undisturbed run from step"))
    let attempt = try #require(try bench.attempts().first { $0["replay"] is Int })
    let step = try #require(attempt["replay"] as? Int)
    let differences = try #require(attempt["replay_differences"] as? [[String: Any]])
    #expect(differences.count == 1 && differences[0]["name"] as? String == "loss")
    #expect(differences[0]["recorded"] is Double && differences[0]["replayed"] is Double)
    let deviation = try #require(try bench.json(["status"])["deviation"] as? [String: Any])
    #expect(deviation["step"] as? Int == step && (deviation["likely_cause"] as? String)?.isEmpty == false)
    for command in [["status"], ["history"], ["history", "--attempt", "2"]] {
      let shown = try bench.holdfast(command + ["--state-dir", bench.state]).out
      #expect(shown.contains("metric loss is"), "\(command): \(shown)")
    }
    // It is known of a finished job too.
    #expect(try bench.supervise(["--require-identical"], command) == 4)
    #expect(bench.standardError.contains("finished, but its replay deviates from step \(step) on"))
  }

  @Test func differingRunFailsIfIdenticalIsRequired() throws {
    let bench = Workbench()
    defer { bench.close() }
    let file = try bench.write("job.toml", "[restart]\nrequire-identical = true\n")
    let options = ["--stage-every", "1h", "--config", file]
    #expect(
      try bench.supervise(options, [Programs.faulty, "not-deterministic", bench.base + "/marker"]) == 4)
    #expect(
      bench.standardError.contains("   why: likely cause: unregistered state"),
      "\(bench.standardError)")
    #expect(try bench.json(["status"])["state"] as? String == "finished")
  }

  @Test func identicalRunSucceedsIfIdenticalIsRequired() throws {
    let bench = Workbench()
    defer { bench.close() }
    let command = [Programs.faulty, "die-once", bench.base + "/marker"]
    #expect(try bench.supervise(["--stage-every", "1h", "--require-identical"], command) == 0)
    #expect(try bench.attempts().last?["replay"] as? String == "identical")
    #expect(try bench.json(["status"])["deviation"] is NSNull)
  }

  @Test func fullSnapshotsLoseNoStep() throws {
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try bench.start(["--stage-every", "1h"], [Programs.faulty, "full-snapshots"])
    try bench.wait(for: "a few steps") { try bench.status("step") > 20 }
    kill(try #require(bench.trainerPID), SIGKILL)
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 0, "\(bench.standardError)")
    let attempts = try bench.attempts()
    #expect(attempts.last?["replayed_steps"] as? Int == 0)
    #expect((attempts.last?["resumed_from"] as? [String: Any])?["level"] as? String == "snapshot")
  }

  @Test func programWithoutProtocolIsRestartedAndFinishes() throws {
    let bench = Workbench()
    defer { bench.close() }
    let script = try bench.write(
      "plain",
      "#!/bin/bash\necho started\n[ -e \(bench.base)/seen ] && exit 0\ntouch \(bench.base)/seen\nexit 3\n",
      executable: true)
    #expect(try bench.supervise([], [script]) == 0)
    let attempts = try bench.attempts()
    #expect(attempts.map { $0["exit_status"] as? Int } == [3, 0])
    #expect(bench.standardOutput == "started\nstarted\n")
  }
}
