import Foundation
import Testing

/// `--resume-from`: a job starts or continues from a checkpoint that the user names, once.
@Suite struct ResumeFromTests {
  private static func trainer(_ epochs: Int, seed: Int = 1, delay: String = "0ms") -> [String] {
    [Programs.trainer, "--epochs", "\(epochs)", "--seed", "\(seed)", "--step-delay", delay]
  }

  private static func firstPoint(_ bench: Workbench) throws -> (level: String?, step: Int?) {
    let point = try bench.attempts().first?["resumed_from"] as? [String: Any]
    return (point?["level"] as? String, point?["step"] as? Int)
  }

  /// A finished job with checkpoints of steps 45 and 90.
  private static func finished() throws -> Workbench {
    let bench = Workbench()
    #expect(try bench.supervise(["--every-epochs", "1", "--keep-last", "9"], trainer(2)) == 0)
    return bench
  }

  @Test func aNewJobBeginsWithAnothersCheckpoint() async throws {
    let other = try Self.finished()
    let bench = Workbench()
    defer { for one in [other, bench] { one.close() } }
    let path = other.state + "/checkpoints/step-45"
    let options = ["--resume-from", path]
    #expect(try bench.supervise(options, Self.trainer(2)) == 0, "\(bench.standardError)")
    #expect(try Self.firstPoint(bench) == ("durable", 45))
    #expect(digest(in: bench.standardOutput) == digest(in: other.standardOutput), "the same bits")
    let events = try bench.holdfast(["events", "--state-dir", bench.state]).out
    #expect(events.contains("(--resume-from)"), "\(events)")
    #expect(!bench.standardError.contains("not listed"), "its own copy is not a find: \(bench.standardError)")
    #expect(try other.holdfast(["checkpoints", "verify", "--state-dir", other.state]).status == 0)
  }

  /// Later steps are set aside only with --yes; a restart with the same words does not repeat it.
  @Test func laterStepsAreSetAside() throws {
    let bench = try Self.finished()
    defer { bench.close() }
    let options = ["--resume-from", "step-45"]
    #expect(try bench.supervise(options, Self.trainer(4, delay: "10ms")) == 78)
    #expect(bench.standardError.contains("would be set aside"), "\(bench.standardError)")
    #expect(!FileManager.default.fileExists(atPath: bench.state + "/runs/1"))

    let run = try bench.start(options + ["--yes"], Self.trainer(4, delay: "10ms"))
    try bench.wait(for: "steps") {
      try FileManager.default.fileExists(atPath: bench.state + "/runs/1") && bench.status("step") >= 70
    }
    #expect(try Self.firstPoint(bench).step == 45)
    #expect(try bench.holdfast(["history", "--state-dir", bench.state + "/runs/1"]).out.contains("finished"))
    try bench.killBoth(run)
    let step = try bench.status("step")
    #expect(try bench.supervise(options + ["--yes"], Self.trainer(4)) == 0, "\(bench.standardError)")
    #expect(bench.standardError.contains("was applied before"), "\(bench.standardError)")
    let attempts = try bench.attempts()
    #expect(attempts.count == 2)
    let from = (attempts.last?["resumed_from"] as? [String: Any])?["step"] as? Int ?? 0
    #expect(from > 45 && from <= step, "it continues with its own state: \(from)")
  }

  @Test func noneBeginsAnew() throws {
    let bench = try Self.finished()
    defer { bench.close() }
    let before = digest(in: bench.standardOutput)
    #expect(
      try bench.supervise(["--resume-from", "none", "--yes"], Self.trainer(2)) == 0, "\(bench.standardError)")
    #expect(try Self.firstPoint(bench).step == nil)
    #expect(digest(in: bench.standardOutput) == before)
    #expect(try bench.attempts().count == 1)
  }

  /// Fine-tuning: the weights are those of the checkpoint, everything else begins.
  @Test func weightsOnly() throws {
    let other = try Self.finished()
    let (bench, fresh) = (Workbench(), Workbench())
    defer { for one in [other, bench, fresh] { one.close() } }
    let options = ["--resume-from", other.state + "/checkpoints/step-90", "--resume-weights-only"]
    let run = try bench.start(options, Self.trainer(2, seed: 5, delay: "5ms"))
    try bench.wait(for: "steps") { try bench.status("step") >= 20 }
    // An attempt that is killed is repeated with the same weights.
    if let pid = bench.trainerPID { kill(pid, SIGKILL) }
    run.waitUntilExit()
    #expect(run.terminationStatus == 0, "\(bench.standardError)")
    #expect(try bench.status("step") == 90, "it begins at step 0")
    #expect(try fresh.supervise(options, Self.trainer(2, seed: 5)) == 0)
    #expect(digest(in: bench.standardOutput) == digest(in: fresh.standardOutput), "the same bits")
    let plain = Workbench()
    defer { plain.close() }
    #expect(try plain.supervise([], Self.trainer(2, seed: 5)) == 0)
    #expect(digest(in: plain.standardOutput) != digest(in: fresh.standardOutput), "the weights were used")
    func firstAccuracy(_ bench: Workbench) -> Double {
      let line = bench.standardOutput.split(separator: "\n").first { $0.contains("validation accuracy") }
      return line?.split(separator: " ").last.flatMap { Double($0) } ?? 0
    }
    #expect(firstAccuracy(fresh) > firstAccuracy(plain))
  }

  @Test func fromTheRemoteOfAnotherJob() throws {
    let (other, bench) = (Workbench(), Workbench())
    defer { for one in [other, bench] { one.close() } }
    let remote = ["--remote", other.base + "/remote", "--every-epochs", "1"]
    #expect(try other.supervise(remote, Self.trainer(2)) == 0)
    // A directory is also a remote of rclone, of type local.
    let environment = ["RCLONE_CONFIG_L_TYPE": "local", "AWS_CA_BUNDLE": ""]
    let place = "l:\(other.base)/remote/test/step-45"
    let run = try bench.start(["--resume-from", place], Self.trainer(2), environment: environment)
    run.waitUntilExit()
    #expect(run.terminationStatus == 0, "\(bench.standardError)")
    #expect(try Self.firstPoint(bench).step == 45)
    #expect(digest(in: bench.standardOutput) == digest(in: other.standardOutput))
  }

  @Test func whatCannotBeUsedChangesNothing() throws {
    let bench = try Self.finished()
    defer { bench.close() }
    try Workbench.flipBit(of: bench.state + "/checkpoints/step-45/state.safetensors", at: 20_000)
    for (place, status, text) in [
      ("step-45", 65, "damaged"), ("step-46", 78, "no checkpoint 'step-46'"), ("/etc", 65, "damaged"),
    ] as [(String, Int32, String)] {
      let result = try bench.supervise(["--resume-from", place, "--yes"], Self.trainer(2))
      #expect(
        result == status && bench.standardError.contains(text), "\(place): \(result) \(bench.standardError)")
    }
    #expect(!FileManager.default.fileExists(atPath: bench.state + "/runs/1"))
    #expect(try bench.supervise(["--resume-weights-only"], Self.trainer(2)) == 64)
  }

  // MARK: The second failure

  /// Runs a command until the rename(2) with this number of a path, which fails or is followed by SIGKILL.
  private static func interrupt(
    _ bench: Workbench, _ options: [String], _ trainer: [String], _ path: String, number: Int = 1,
    _ fault: String
  ) throws {
    let run = try bench.start(
      program: [
        "/usr/bin/strace", "-f", "-qq", "-o", bench.base + "/trace", "-P", bench.state + "/runs/" + path,
        "-e", "trace=rename", "-e", "inject=rename:\(fault):when=\(number)", Programs.holdfast, "run",
        "--job", "test", "--state-dir", bench.state, "--run-dir", bench.run,
      ] + options + ["--"] + trainer)
    run.waitUntilExit()
    #expect(run.terminationStatus != 0, "it was interrupted")
  }

  /// After the job's own steps were set aside: the next start completes it, with the option or without.
  @Test(arguments: [
    (".archiving", 1, "signal=KILL", true), (".archiving", 1, "error=EIO", false),
    (".resume-from/step-45", 1, "signal=KILL", false), (".resume-from/step-45", 1, "error=EIO", true),
  ])
  func anInterruptionIsCompleted(path: String, number: Int, fault: String, isRepeated: Bool) throws {
    let bench = try Self.finished()
    defer { bench.close() }
    let options = ["--resume-from", "step-45", "--yes"]
    try Self.interrupt(bench, options, Self.trainer(3), path, number: number, fault)
    #expect(try bench.supervise(isRepeated ? options : [], Self.trainer(3)) == 0, "\(bench.standardError)")
    #expect(try Self.firstPoint(bench) == ("durable", 45), "\(bench.standardError)")
    #expect(try bench.holdfast(["events", "--state-dir", bench.state]).out.contains("(--resume-from)"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: bench.state + "/runs") == ["1"])
  }

  /// What an interrupted job has in memory is not what it begins with.
  @Test func anInterruptionLeavesNoMemory() throws {
    let bench = Workbench()
    defer { bench.close() }
    let run = try bench.start([], Self.trainer(4, delay: "10ms"))
    try bench.wait(for: "steps") { try bench.status("step") >= 60 }
    try bench.killBoth(run)
    try Self.interrupt(
      bench, ["--resume-from", "none", "--yes"], Self.trainer(2), ".archiving", "signal=KILL")
    #expect(try bench.supervise([], Self.trainer(2)) == 0, "\(bench.standardError)")
    #expect(FileManager.default.fileExists(atPath: bench.state + "/runs/1/store"))
    #expect(try Self.firstPoint(bench).step == nil, "\(bench.standardError)")
  }

  /// The weights belong to the run that is set aside.
  @Test(arguments: [["--resume-from", "none", "--yes"], ["--again"]])
  func weightsAreOfOneRun(options: [String]) throws {
    let bench = try Self.finished()
    defer { bench.close() }
    let before = digest(in: bench.standardOutput)
    let weights = ["--resume-from", "step-90", "--resume-weights-only", "--yes"]
    #expect(try bench.supervise(weights, Self.trainer(2)) == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) != before)
    #expect(try bench.supervise(options, Self.trainer(2)) == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == before, "from the beginning")
  }

  /// Without its weights, a job must not begin with others.
  @Test(arguments: [
    "rm state.safetensors", "rm -r ../../initial-weights", "truncate -s 100 state.safetensors",
    "rm state.safetensors && mkfifo state.safetensors",
    "printf x | dd conv=notrunc bs=1 seek=20000 of=state.safetensors",
  ])
  func damagedWeights(damage: String) throws {
    let bench = try Self.finished()
    defer { bench.close() }
    let options = ["--resume-from", "step-90", "--resume-weights-only", "--yes"]
    let run = try bench.start(options, Self.trainer(2, delay: "20ms"))
    try bench.wait(for: "steps of the new run") {
      try FileManager.default.fileExists(atPath: bench.state + "/runs/1") && bench.status("step") >= 5
        && bench.status("attempt") == 1
    }
    try bench.killBoth(run)
    try FileManager.default.removeItem(atPath: bench.run)
    try? FileManager.default.removeItem(atPath: bench.state + "/checkpoints")
    #expect(try bench.shell("cd \(bench.state)/initial-weights/step-90 && \(damage)").status == 0)
    let lines = bench.standardOutput
    #expect(try bench.supervise(options, Self.trainer(2)) == 65, "\(bench.standardError)")
    #expect(bench.standardError.contains("initial-weights"), "\(bench.standardError)")
    #expect(bench.standardOutput == lines, "nothing was started")
    // What the message says helps.
    let other = ["--resume-from", bench.state + "/runs/1/checkpoints/step-90"] + options.dropFirst(2)
    #expect(try bench.supervise(other, Self.trainer(2)) == 0, "\(bench.standardError)")
  }

  /// A plan that cannot be read must not become a beginning; what the message says helps.
  @Test(arguments: ["echo garbage >", "rm PLAN; mkfifo", "rm PLAN; ln -s /dev/zero"])
  func anUnreadablePlan(damage: String) throws {
    let bench = try Self.finished()
    defer { bench.close() }
    let options = ["--resume-from", "step-45", "--yes"]
    try Self.interrupt(bench, options, Self.trainer(3), ".resume-from/step-45", "signal=KILL")
    let plan = bench.state + "/runs/.resume-from/plan.json"
    let script = damage.replacingOccurrences(of: "PLAN", with: plan)
    #expect(try bench.shell("\(script) \(plan)").status == 0)
    for words in [options, []] {
      #expect(try bench.supervise(words, Self.trainer(3)) == 65, "\(bench.standardError)")
    }
    let hint = "rm -r \(bench.state)/runs/.resume-from"
    #expect(bench.standardError.contains(hint), "\(bench.standardError)")
    #expect(try bench.shell(hint).status == 0)
    let other = ["--resume-from", bench.state + "/runs/1/checkpoints/step-45"]
    #expect(try bench.supervise(other, Self.trainer(3)) == 0, "\(bench.standardError)")
    #expect(try Self.firstPoint(bench) == ("durable", 45))
  }

  /// The job remembers its checkpoint directory, also when its steps are set aside.
  @Test func theCheckpointDirectoryIsKept() throws {
    let bench = Workbench()
    defer { bench.close() }
    let own = ["--checkpoint-dir", bench.base + "/own", "--every-epochs", "1", "--keep-last", "9"]
    #expect(try bench.supervise(own, Self.trainer(2)) == 0, "\(bench.standardError)")
    #expect(try bench.supervise(["--resume-from", "step-45", "--yes"], Self.trainer(2)) == 0)
    #expect(try Self.firstPoint(bench) == ("durable", 45), "\(bench.standardError)")
    #expect(!FileManager.default.fileExists(atPath: bench.state + "/checkpoints"))
  }
}
