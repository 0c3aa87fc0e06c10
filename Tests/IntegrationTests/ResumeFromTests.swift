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
}
