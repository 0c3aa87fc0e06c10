import Foundation
import Testing

/// `--set`: hyperparameters of a job are changed, once.
@Suite struct HyperparameterTests {
  private static func trainer(_ options: String...) -> [String] {
    [Programs.trainer, "--epochs", "3"] + options
  }

  /// A job that was stopped after 60 steps.
  private static func stopped() throws -> Workbench {
    let bench = Workbench()
    let run = try bench.start(["--stage-every", "50ms"], trainer("--step-delay", "10ms"))
    try bench.wait(for: "steps") { try bench.status("step") > 60 }
    run.terminate()
    run.waitUntilExit()
    #expect(run.terminationStatus == 75)
    return bench
  }

  private static func event(_ bench: Workbench) throws -> [Substring] {
    try bench.holdfast(["events", "--state-dir", bench.state]).out.split(separator: "\n")
      .filter { $0.contains("were changed (--set)") }
  }

  private static func rates(_ bench: Workbench) throws -> [Double] {
    let document = try bench.json(["snapshots", "--last", "500"])
    let rows = document["snapshots"] as? [[String: Any]] ?? []
    return rows.compactMap { ($0["metrics"] as? [String: Any])?["learning_rate"] as? Double }
  }

  @Test func aStoppedJobContinuesWithTheNewValue() throws {
    let bench = try Self.stopped()
    defer { bench.close() }
    let step = try bench.status("step")
    let run = try bench.start(["--set", "learning_rate=0.0003"], Self.trainer("--step-delay", "10ms"))
    try bench.wait(for: "more steps") { try bench.status("step") > step + 10 }
    // It is recorded durably: neither a restart of the trainer nor one of the supervisor needs it again.
    try bench.killBoth(run)
    #expect(try bench.supervise([], Self.trainer()) == 0, "\(bench.standardError)")
    #expect(try Self.event(bench).count == 1)
    let rates = try Self.rates(bench)
    #expect(rates.count == 135)
    // A cosine from the peak to 0: a tenth of the peak is a tenth of each value.
    for (index, rate) in rates.enumerated() {
      let undisturbed = 0.003 * 0.5 * (1 + cos(Double.pi * Double(index) / 135))
      #expect(abs(rate - (index < step ? 1 : 0.1) * undisturbed) < 1e-6, "step \(index + 1): \(rate)")
    }
    let status = try bench.json(["status"])
    let deviation = try #require(status["deviation"] as? [String: Any])
    #expect(deviation["step"] as? Int == step + 1)
    #expect(bench.standardError.contains("it differs from an undisturbed run from step"))
    #expect(!bench.standardError.contains("does not reproduce"), "\(bench.standardError)")
    let shown = try bench.json(["checkpoints", "show"])
    #expect((shown["hyperparameters"] as? [String: Any])?["learning_rate"] as? Double == 0.0003)
  }

  /// A run that begins with it is not disturbed: it has the bits of one that was started with that option.
  @Test func aRunIsStartedOverWithAnotherValue() throws {
    let bench = Workbench()
    let other = Workbench()
    defer { for one in [bench, other] { one.close() } }
    #expect(try bench.supervise([], Self.trainer()) == 0)
    #expect(try bench.supervise(["--set", "learning_rate=0.001"], Self.trainer()) == 78)
    #expect(bench.standardError.contains("so --set changes nothing"))
    #expect(try bench.supervise(["--again", "--set", "learning_rate=0.001"], Self.trainer()) == 0)
    #expect(try other.supervise([], Self.trainer("--learning-rate", "0.001")) == 0)
    #expect(digest(in: bench.standardOutput) == digest(in: other.standardOutput))
    let status = try bench.json(["status"])
    #expect(status["deviation"] is NSNull, "\(status)")
  }

  /// The checkpoint of another job says which there are.
  @Test func aNewJobBeginsWithACheckpointAndAnotherValue() throws {
    let other = try Self.stopped()
    let bench = Workbench()
    defer { for one in [bench, other] { one.close() } }
    let name =
      try FileManager.default.contentsOfDirectory(atPath: other.state + "/checkpoints").sorted().last ?? ""
    let from = ["--resume-from", "\(other.state)/checkpoints/\(name)", "--resume-weights-only"]
    #expect(try bench.supervise(from + ["--set", "learning_rate=0.001"], Self.trainer()) == 0)
    #expect(try abs((Self.rates(bench).first ?? 0) - 0.001) < 1e-9, "\(bench.standardError)")
  }

  @Test func whatDoesNotFitIsRefused() throws {
    let bench = try Self.stopped()
    defer { bench.close() }
    for (text, status, words) in [
      ("lrate=1", 78, "the job has no hyperparameter 'lrate'"),
      ("hidden=64.5", 78, "'hidden' is a whole number"),
      ("learning_rate=fast", 78, "'learning_rate' is a number"), ("learning_rate=nan", 78, "is a number"),
      ("learning_rate", 64, "write NAME=VALUE"), ("=1", 64, "write NAME=VALUE"),
    ] {
      let result = try bench.supervise(["--set", text], Self.trainer())
      #expect(
        result == status && bench.standardError.contains(words), "\(text): \(result) \(bench.standardError)")
    }
    #expect(try Self.event(bench).isEmpty)
    let new = Workbench()
    defer { new.close() }
    #expect(try new.supervise(["--set", "seed=2"], Self.trainer()) == 78)
    #expect(new.standardError.contains("has recorded no hyperparameters"), "\(new.standardError)")
    // The value that it has already.
    #expect(try bench.supervise(["--set", "hidden=64"], Self.trainer()) == 0)
    #expect(bench.standardError.contains("--set changes nothing"))
    #expect(try bench.json(["status"])["deviation"] is NSNull)
  }
}
