import Foundation
import Testing

/// When checkpoints are saved and which are kept: the built programs, with their options and with a file.
@Suite struct CheckpointPolicyTests {
  /// Slow enough for a busy machine: a trainer does not wait for the supervisor, so a fast one passes moments unsaved.
  private static func trainer(epochs: Int) -> [String] {
    [Programs.trainer, "--epochs", "\(epochs)", "--step-delay", "20ms"]
  }

  private static func isFinished(_ bench: Workbench) throws -> Bool {
    let shown = try bench.holdfast(["status", "--json", "--state-dir", bench.state])
    return shown.out.contains("\"state\":\"finished\"")
  }

  @Test func stepsAreExactWhateverIsKilled() throws {
    let bench = Workbench()
    defer { bench.close() }
    let options = ["--every-steps", "50", "--keep-last", "99", "--every-epochs", "off"]
    let trainer = [Programs.trainer, "--epochs", "8", "--step-delay", "5ms"]
    _ = try bench.start(options, trainer)
    for step in [70, 190] {
      try bench.wait(for: "step \(step)") { try bench.status("step") >= step }
      if let pid = bench.trainerPID { kill(pid, SIGKILL) }
    }
    try bench.wait(for: "the end") { try Self.isFinished(bench) }
    let steps = try bench.listedCheckpoints().filter { $0.savedFor.contains("steps=50") }.map(\.step)
    #expect(Set(steps) == Set((1...7).map { $0 * 50 }), "\(steps)")
    #expect(try bench.listedCheckpoints().first?.savedFor.contains("finish") == true)

    let alone = Workbench()
    defer { alone.close() }
    #expect(try alone.supervise(["--no-checkpoints"], [Programs.trainer, "--epochs", "8"]) == 0)
    let (disturbed, undisturbed) = (digest(in: bench.standardOutput), digest(in: alone.standardOutput))
    #expect(disturbed != nil && disturbed == undisturbed, "the same bits")
  }

  /// The machine may be the next to fail.
  @Test func theNewestStateOfAFailedAttemptIsDurable() throws {
    let bench = Workbench()
    defer { bench.close() }
    let options = ["--every", "1d", "--every-epochs", "off", "--stage-every", "100ms"]
    _ = try bench.start(options, [Programs.trainer, "--epochs", "9", "--step-delay", "10ms"])
    try bench.wait(for: "steps") { try bench.status("step") >= 50 }
    if let pid = bench.trainerPID { kill(pid, SIGKILL) }
    try bench.wait(for: "a checkpoint") { try !bench.listedCheckpoints().isEmpty }
    #expect(try bench.listedCheckpoints().first?.savedFor == ["failure"])
    #expect(try bench.holdfast(["stop", "--state-dir", bench.state]).status == 0)
    #expect(try bench.listedCheckpoints().first?.savedFor == ["stop"])
  }

  /// A checkpoint of an epoch's end has the metrics of the validation that follows, is named by them, and ranks by
  /// them.
  @Test(arguments: ["true", "false"]) func epochsAreNamedAndRanked(onTrainEpochEnd: String) throws {
    let bench = Workbench()
    defer { bench.close() }
    let status = try bench.supervise(
      [
        "--every-epochs", "1", "--save-on-train-epoch-end", onTrainEpochEnd, "--keep-best", "2", "--monitor",
        "val_accuracy", "--mode", "max", "--checkpoint-name", "digits-{epoch:02d}-{val_accuracy:.2f}",
        "--save-last",
      ], Self.trainer(epochs: 6))
    #expect(status == 0, "\(bench.standardError)")
    let accuracies = bench.standardOutput.split(separator: "\n").compactMap { line in
      line.contains("validation accuracy") ? line.split(separator: " ").last.flatMap { Double($0) } : nil
    }
    #expect(accuracies.count == 6)
    let kept = try bench.listedCheckpoints()
    let best = accuracies.enumerated().sorted { ($0.element, $0.offset) > ($1.element, $1.offset) }.prefix(2)
    let expected = Set(best.map { ($0.offset + 1) * 45 } + [6 * 45])
    #expect(Set(kept.map(\.step)) == expected, "\(kept) \(accuracies)")
    for one in kept {
      let value = try #require(one.metrics["val_accuracy"])
      #expect(abs(value - accuracies[one.step / 45 - 1]) < 1e-6)
      let epoch = one.step / 45 - 1
      #expect(one.name.hasPrefix("digits-epoch=0\(epoch)-val_accuracy="), "\(one.name)")
      if onTrainEpochEnd == "false" {
        #expect(one.name.contains(String(format: "%.2f", value)), "\(one.name)")
      }
    }
    let last = try FileManager.default.destinationOfSymbolicLink(atPath: "\(bench.state)/checkpoints/last")
    #expect(last == kept.first?.name)
    let text = try bench.holdfast(["status", "--state-dir", bench.state]).out
    #expect(text.contains("best") && text.contains("val_accuracy"), "\(text)")
    let verified = try bench.holdfast(["checkpoints", "verify", "--state-dir", bench.state])
    #expect(verified.status == 0, "\(verified.out)")
    try Self.checkBest(bench)
  }

  /// The trainer was told of the best one after its loop, loaded it, and found what it had found before.
  private static func checkBest(_ bench: Workbench) throws {
    let best = try #require(try bench.json(["status"])["best"] as? [String: Any])
    let (path, step) = (best["path"] as? String ?? "", best["step"] as? Int ?? -1)
    let (value, name) = (best["value"] as? Double ?? .nan, best["name"] as? String ?? "?")
    #expect(path == "\(bench.state)/checkpoints/\(name)")
    #expect(!FileManager.default.fileExists(atPath: bench.run + "/best.json"), "cleared at the end")
    let line = bench.standardOutput.split(separator: "\n").first {
      $0.hasPrefix("best checkpoint: step \(step), ")
    }
    // JSON is read with fewer digits here.
    #expect(line?.hasSuffix(", accuracy \(Float(value))") == true, "\(bench.standardOutput.suffix(300))")
  }

  /// After a kill the next attempt is told of checkpoints that an earlier one has made.
  @Test func theBestOneIsKnownAfterAKill() throws {
    let bench = Workbench()
    defer { bench.close() }
    let options = [
      "--every-epochs", "1", "--keep-best", "1", "--monitor", "val_accuracy", "--mode", "max", "--keep-last",
      "1",
    ]
    let run = try bench.start(options, Self.trainer(epochs: 5))
    try bench.wait(for: "epochs") { try bench.status("step") >= 100 }
    try bench.killBoth(run)
    #expect(try bench.supervise(options, Self.trainer(epochs: 5)) == 0, "\(bench.standardError)")
    try Self.checkBest(bench)
  }

  /// Without any option: the ends of epochs that are long enough, and the last ones are kept.
  @Test func epochsAreSavedWithoutConfiguration() throws {
    let bench = Workbench()
    defer { bench.close() }
    // Long epochs, as a disk that is busy gets fewer.
    _ = try bench.start([], [Programs.trainer, "--epochs", "3", "--step-delay", "150ms"])
    try bench.wait(for: "the end") { try Self.isFinished(bench) }
    let kept = try bench.listedCheckpoints()
    #expect(kept.map(\.step) == [135, 90])
    #expect(kept.last?.savedFor == ["epochs=1"])
    let events = try bench.holdfast(["events", "--state-dir", bench.state]).out
    #expect(events.contains("step 45 is durable"), "\(events)")
  }

  /// The steps of one policy are the last ones of the epochs that another one ranks.
  @Test func aStepThatEndsAnEpochServesBothPolicies() throws {
    let bench = Workbench()
    defer { bench.close() }
    _ = try bench.runFile(
      """
      command = ["\(Programs.trainer)", "--epochs", "5", "--step-delay", "20ms"]
      [checkpoint]
      every-steps = 45
      keep-last = 1
      [[checkpoint.policy]]
      every-epochs = 1
      keep-last = 99
      keep-best = 2
      monitor = "val_accuracy"
      mode = "max"
      """)
    let kept = try bench.listedCheckpoints()
    #expect(kept.map(\.step) == [225, 180, 135, 90, 45])
    for one in kept { #expect(Set(one.savedFor).isSuperset(of: ["epochs=1", "steps=45"]), "\(one)") }
    #expect(kept.allSatisfy { $0.metrics["val_accuracy"] != nil })
  }

  @Test func severalPoliciesInAFile() throws {
    let bench = Workbench()
    defer { bench.close() }
    let file = try bench.runFile(
      """
      command = ["\(Programs.trainer)", "--epochs", "8", "--step-delay", "20ms"]
      [checkpoint]
      interval = "10min"
      keep-last = 1
      [[checkpoint.policy]]
      every-steps = 60
      keep-last = 3
      name = "steps-{step}"
      [[checkpoint.policy]]
      every-epochs = 1
      keep-best = 2
      monitor = "val_accuracy"
      mode = "max"
      """)
    let kept = try bench.listedCheckpoints()
    let multiples = kept.filter { $0.savedFor.contains("steps=60") }.map(\.step)
    #expect(multiples.isSuperset(of: [360, 300, 240]), "\(kept)")
    #expect(kept.contains { $0.name == "steps-step=300" })
    #expect(kept.filter { $0.savedFor.contains("epochs=1") && !$0.savedFor.contains("steps=60") }.count >= 1)
    #expect(kept.count <= 6)
    // Options of the command line replace the file's further policies.
    let shown = try bench.holdfast(["config", "show", "--config", file, "--json", "--keep-last", "9"])
    #expect(!shown.out.contains("every-steps\":60"), "\(shown.out)")
  }

  @Test(arguments: [
    ("keep-best = 2", "'policy' in [checkpoint]: keep-best needs monitor", 4),
    ("keep-last = 2", "a policy needs a time to save", 4),
    ("every-stepz = 5", "unknown key 'every-stepz'; did you mean 'every-steps'?", 5),
    ("every-steps = 0", "'every-steps' must be above 0", 5),
    ("every-steps = 5\\nname = \"{a\"", "invalid template '{a': '{' is not closed", 6),
  ])
  func mistakesInAPolicyHaveTheirLine(keys: String, message: String, line: Int) throws {
    let bench = Workbench()
    defer { bench.close() }
    let text = "command = [\"true\"]\n[checkpoint]\nkeep-last = 3\n[[checkpoint.policy]]\n"
    let file = try bench.write("job.toml", text + keys.replacingOccurrences(of: "\\n", with: "\n") + "\n")
    let result = try bench.holdfast(["config", "check", file])
    #expect(result.status == 78 && result.err.contains(message), "\(result.err)")
    #expect(result.err.contains("job.toml:\(line):"), "\(result.err)")
  }

  /// The link could not be made at any checkpoint.
  @Test func theNameOfTheLinkIsRefused() throws {
    let bench = Workbench()
    defer { bench.close() }
    let options = ["--save-last", "--checkpoint-name", "last"]
    #expect(try bench.supervise(options, Self.trainer(epochs: 1)) == 64, "\(bench.standardError)")
    #expect(bench.standardError.contains("cannot be named 'last'"), "\(bench.standardError)")
    let file = try bench.write(
      "job.toml", "command = [\"true\"]\n[checkpoint]\nname = \"last\"\nsave-last = true\n")
    #expect(try bench.holdfast(["config", "check", file]).status == 78)
  }

  @Test func aMetricThatNobodyReportsLosesNothing() throws {
    let bench = Workbench()
    defer { bench.close() }
    let status = try bench.supervise(
      ["--every-epochs", "1", "--keep-best", "3", "--monitor", "acuracy"],
      Self.trainer(epochs: 6))
    #expect(status == 0)
    #expect(try bench.listedCheckpoints().map(\.step) == [270, 225, 180], "the newest, as many as wanted")
    let events = try bench.holdfast(["events", "--state-dir", bench.state]).out
    #expect(events.components(separatedBy: "no metric 'acuracy'").count == 2, "once: \(events)")
    #expect(!events.contains("--every-epochs 1"), "it saves after each validation: \(events)")
    #expect(events.contains("val_accuracy"), "the known ones are named: \(events)")
  }

  // MARK: Pruning

  @Test func pruningShowsAsksAndKeepsDamage() throws {
    let bench = Workbench()
    defer { bench.close() }
    let options = ["--every-steps", "20", "--keep-last", "9", "--every-epochs", "off"]
    #expect(try bench.supervise(options, Self.trainer(epochs: 3)) == 0, "\(bench.standardError)")
    #expect(try bench.listedCheckpoints().map(\.step) == [135, 120, 100, 80, 60, 40, 20])
    let prune = ["checkpoints", "prune", "--state-dir", bench.state]
    let dry = try bench.holdfast(prune + ["--keep-last", "2", "--dry-run"])
    #expect(dry.status == 0 && dry.out.contains("5 checkpoints to remove"), "\(dry)")
    #expect(
      try bench.holdfast(prune + ["--keep-last", "2"]).status == 64, "without a terminal it asks nobody")
    #expect(try bench.holdfast(prune).out.contains("nothing to remove"), "the policies of the last run")
    #expect(try bench.listedCheckpoints().count == 7)

    try Workbench.flipBit(of: bench.state + "/checkpoints/step-40/state.safetensors", at: 20_000)
    let removed = try bench.holdfast(prune + ["--keep-last", "1", "--keep-every-steps", "60", "--yes"])
    #expect(removed.status == 65 && removed.err.contains("step-40"), "\(removed)")
    #expect(try bench.listedCheckpoints().map(\.step) == [135, 120, 60, 40])
    let last = try bench.holdfast(prune + ["--keep-last", "0", "--yes"])
    #expect(last.status == 64 && last.err.contains("--remove-last-verified"), "\(last)")
    #expect(try bench.holdfast(prune + ["--keep-last", "0", "--yes", "--remove-last-verified"]).status == 0)
    #expect(try bench.listedCheckpoints().map(\.step) == [40], "only the damaged one")
  }

  /// What would stay is damaged: then nothing is removed.
  @Test func pruningDoesNotTrustWhatStays() throws {
    let bench = Workbench()
    defer { bench.close() }
    let options = ["--every-steps", "50", "--keep-last", "9", "--every-epochs", "off"]
    #expect(try bench.supervise(options, Self.trainer(epochs: 3)) == 0)
    try Workbench.flipBit(of: bench.state + "/checkpoints/step-135/state.safetensors", at: 20_000)
    let prune = ["checkpoints", "prune", "--state-dir", bench.state, "--keep-last", "1", "--yes"]
    let result = try bench.holdfast(prune)
    #expect(result.status == 65 && result.err.contains("nothing was removed"), "\(result)")
    #expect(try bench.listedCheckpoints().map(\.step) == [135, 100, 50])
  }

  @Test func aRunningJobIsNotPruned() throws {
    let bench = Workbench()
    defer { bench.close() }
    let options = ["--every-steps", "10", "--keep-last", "9"]
    _ = try bench.start(options, [Programs.trainer, "--epochs", "20", "--step-delay", "10ms"])
    try bench.wait(for: "checkpoints") { try bench.status("step") > 0 && bench.listedCheckpoints().count > 3 }
    let prune = ["checkpoints", "prune", "--state-dir", bench.state, "--keep-last", "1", "--yes"]
    let result = try bench.holdfast(prune)
    #expect(result.status == 73 && result.err.contains("is running"), "\(result)")
  }

  // MARK: Where

  @Test func checkpointsInADirectoryOfTheirOwn() throws {
    let bench = Workbench()
    defer { bench.close() }
    // On another filesystem than the state directory.
    let place = bench.run + "-checkpoints/deep"
    defer { try? FileManager.default.removeItem(atPath: bench.run + "-checkpoints") }
    let trainer = [Programs.trainer, "--epochs", "3"]
    #expect(try bench.supervise(["--checkpoint-dir", place], trainer) == 0, "\(bench.standardError)")
    let names = try FileManager.default.contentsOfDirectory(atPath: place).filter { !$0.hasPrefix(".") }
    #expect(try Set(names) == Set(bench.listedCheckpoints().map(\.name)) && !names.isEmpty)
    #expect(!FileManager.default.fileExists(atPath: bench.state + "/checkpoints"))
    #expect(try bench.holdfast(["checkpoints", "verify", "--state-dir", bench.state]).status == 0)

    // Another job is refused, and nothing is changed.
    let other = Workbench()
    defer { other.close() }
    #expect(try other.supervise(["--checkpoint-dir", place], trainer) == 78, "\(other.standardError)")
    #expect(other.standardError.contains("belongs to job 'test'"), "\(other.standardError)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: place).filter { !$0.hasPrefix(".") } == names)

    // The next run of the job: also without the option, and over again.
    #expect(try bench.supervise(["--again"], trainer) == 0, "\(bench.standardError)")
    let all = try FileManager.default.contentsOfDirectory(atPath: place).filter { !$0.hasPrefix(".") }
    #expect(Set(all).isSuperset(of: names) && all.count > names.count, "the finished run's stay: \(all)")
    let archived = try bench.holdfast(["checkpoints", "list", "--state-dir", bench.state + "/runs/1"])
    #expect(archived.status == 0 && names.allSatisfy { archived.out.contains($0) }, "\(archived)")
    // A directory in which its checkpoints would not be found is refused.
    let elsewhere = bench.base + "/elsewhere"
    #expect(try bench.supervise(["--checkpoint-dir", elsewhere, "--again"], trainer) == 0)
  }

  /// The directory vanishes while the job runs: it continues, and writing resumes by itself.
  @Test func aDirectoryThatIsMovedAwayEndsNothing() throws {
    let bench = Workbench()
    defer { bench.close() }
    let place = bench.base + "/kept"
    let options = ["--checkpoint-dir", place, "--every", "1s", "--every-epochs", "off"]
    _ = try bench.start(options, [Programs.trainer, "--epochs", "6", "--step-delay", "20ms"])
    try bench.wait(for: "a checkpoint") { try bench.status("step") > 0 && !bench.listedCheckpoints().isEmpty }
    try FileManager.default.moveItem(atPath: place, toPath: place + ".away")
    try bench.wait(for: "the degradation") {
      try bench.holdfast(["status", "--state-dir", bench.state]).out.contains(
        "no checkpoint can be made durable")
    }
    #expect(!FileManager.default.fileExists(atPath: place), "nothing is created in its place")
    try FileManager.default.moveItem(atPath: place + ".away", toPath: place)
    try bench.wait(for: "the end") { try Self.isFinished(bench) }
    #expect(try bench.listedCheckpoints().first?.step == 270)
    #expect(try bench.holdfast(["checkpoints", "verify", "--state-dir", bench.state]).status == 0)
  }

  @Test func withoutCheckpointsOnlyRequestsAreDurable() throws {
    let bench = Workbench()
    defer { bench.close() }
    _ = try bench.start(
      ["--no-checkpoints", "--every", "1s"], [Programs.trainer, "--epochs", "40", "--step-delay", "10ms"])
    try bench.wait(for: "steps") { try bench.status("step") >= 150 }
    #expect(try bench.listedCheckpoints().isEmpty)
    let text = try bench.holdfast(["status", "--state-dir", bench.state]).out
    #expect(text.contains("--no-checkpoints") && text.contains("start from the beginning"), "\(text)")
    if let pid = bench.trainerPID { kill(pid, SIGKILL) }
    try bench.wait(for: "steps of the next attempt") {
      try bench.status("attempt") == 2 && bench.attempts().last?["last_step"] is Int
    }
    let step = try bench.status("step")
    #expect(step >= 100, "it resumed from what was staged")
    #expect(try bench.holdfast(["checkpoint", "--state-dir", bench.state]).status == 0)
    #expect(try bench.listedCheckpoints().map(\.savedFor) == [["request"]])
    #expect(try bench.holdfast(["stop", "--state-dir", bench.state]).status == 0)
    #expect(try bench.listedCheckpoints().count == 1, "a stop writes none")
    #expect(
      bench.standardError.contains("a power loss would cost"),
      "the stop says what it would cost: \(bench.standardError)")
  }
}

extension [Int] {
  fileprivate func isSuperset(of other: [Int]) -> Bool { Set(self).isSuperset(of: other) }
}
