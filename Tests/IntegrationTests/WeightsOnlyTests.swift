import Foundation
import Testing

/// Policies with weights-only: the built programs, with a trainer whose state is a network and its optimizer.
@Suite struct WeightsOnlyTests {
  private static func trainer(_ epochs: Int, delay: String = "20ms") -> [String] {
    [Programs.trainer, "--epochs", "\(epochs)", "--step-delay", delay]
  }

  private static func of(_ bench: Workbench, weights: Bool) throws -> [ListedCheckpoint] {
    try bench.listedCheckpoints().filter { $0.weightsOnly == weights }
  }

  /// Both processes are killed after weights of a later step are durable than of the whole state.
  @Test func noAttemptStartsFromWeights() throws {
    let bench = Workbench()
    defer { bench.close() }
    let options = [
      "--weights-only", "--every-steps", "20", "--every-epochs", "off", "--keep-last", "3", "--stage-every",
      "1d",
      "--checkpoint-name", "digits-{step}",
    ]
    let run = try bench.start(options, Self.trainer(5))
    try bench.wait(for: "a step") { try bench.status("step") >= 5 }
    #expect(try bench.holdfast(["checkpoint", "--state-dir", bench.state]).status == 0)
    let whole = try #require(try Self.of(bench, weights: false).first)
    #expect(whole.name == "step-\(whole.step)" && whole.savedFor.contains("request"))
    try bench.wait(for: "weights") {
      try Self.of(bench, weights: true).filter { $0.step % 20 == 0 && $0.step > whole.step }.count >= 2
    }
    let status = try bench.holdfast(["status", "--json", "--state-dir", bench.state]).out
    #expect(status.contains("\"durable_step\":\(whole.step),"), "\(status)")
    // What is in memory is lost, too.
    try bench.killBoth(run)
    try FileManager.default.removeItem(atPath: bench.run)
    #expect(try bench.supervise(options, Self.trainer(5, delay: "5ms")) == 0, "\(bench.standardError)")
    let from = try bench.attempts().last?["resumed_from"] as? [String: Any]
    #expect(from?["level"] as? String == "durable" && from?["step"] as? Int == whole.step, "\(from ?? [:])")

    let alone = Workbench()
    defer { alone.close() }
    #expect(try alone.supervise(["--no-checkpoints"], Self.trainer(5, delay: "0ms")) == 0)
    let (disturbed, undisturbed) = (digest(in: bench.standardOutput), digest(in: alone.standardOutput))
    #expect(disturbed != nil && disturbed == undisturbed, "the same bits")

    let kept = try Self.of(bench, weights: true)
    #expect(kept.map(\.step) == [225, 220, 200] && kept[1].name == "digits-step=220", "\(kept)")
    let others = try Self.of(bench, weights: false)
    #expect(others.first?.step == 225 && others.count == 2, "the newest two of the whole state: \(others)")
    // Adam's moments are twice as large as the network.
    #expect(kept.allSatisfy { $0.bytes * 2 < others[0].bytes }, "\(kept) \(others)")
    let verified = try bench.holdfast(["checkpoints", "verify", "--state-dir", bench.state])
    #expect(
      verified.status == 0 && verified.out.contains("digits-step=220  verified  weights only"), "\(verified)")
    let text = try bench.holdfast(["checkpoints", "list", "--state-dir", bench.state]).out
    #expect(text.contains("weights only") && text.contains("last 3"), "\(text)")
    let shown = try bench.holdfast(["checkpoints", "show", "--state-dir", bench.state, "digits-step=220"])
    #expect(shown.out.contains("weights only") && !shown.out.contains("optimizer"), "\(shown)")
  }

  /// Beside a policy of the whole state, in a file.
  @Test func aFurtherPolicyKeepsTheBestWeights() throws {
    let bench = Workbench()
    defer { bench.close() }
    _ = try bench.runFile(
      """
      command = ["\(Programs.trainer)", "--epochs", "6", "--step-delay", "10ms"]
      [checkpoint]
      every-steps = 100
      every-epochs = "off"
      keep-last = 1
      [[checkpoint.policy]]
      every-epochs = 1
      weights-only = true
      keep-best = 2
      monitor = "val_accuracy"
      mode = "max"
      """)
    #expect(try Self.of(bench, weights: false).map(\.step) == [270])
    let weights = try Self.of(bench, weights: true)
    #expect(
      weights.count == 2 && weights.allSatisfy { $0.step % 45 == 0 && $0.savedFor.contains("epochs=1") },
      "\(weights)")
    let best = try bench.json(["status"])["best"] as? [String: Any]
    #expect(weights.map(\.name).contains(best?["name"] as? String ?? ""), "\(best ?? [:])")
    // A start without the policy keeps them; only a command for them removes them.
    let prune = ["checkpoints", "prune", "--state-dir", bench.state, "--yes"]
    #expect(try bench.holdfast(prune + ["--keep-last", "1"]).status == 0)
    #expect(try bench.listedCheckpoints().count == 3)
    #expect(try bench.holdfast(prune + ["--weights-only", "--keep-last", "1"]).status == 0)
    #expect(try Self.of(bench, weights: true).map(\.step) == [weights[0].step])
    #expect(try Self.of(bench, weights: false).map(\.step) == [270])
  }

  @Test func weightsBeginOnlyANewTraining() throws {
    let bench = Workbench()
    defer { bench.close() }
    let options = ["--weights-only", "--every-epochs", "1", "--keep-last", "9"]
    #expect(try bench.supervise(options, Self.trainer(2)) == 0, "\(bench.standardError)")
    let name = try #require(try Self.of(bench, weights: true).last?.name)
    #expect(name == "step-45-weights")
    let path = bench.state + "/checkpoints/" + name
    let other = Workbench()
    defer { other.close() }
    #expect(try other.supervise(["--resume-from", path], Self.trainer(2)) == 78)
    #expect(other.standardError.contains("add --resume-weights-only"), "\(other.standardError)")
    let tuned = try other.supervise(["--resume-from", path, "--resume-weights-only"], Self.trainer(1))
    #expect(tuned == 0, "\(other.standardError)")
    #expect(digest(in: other.standardOutput) != nil)
    let scratch = Workbench()
    defer { scratch.close() }
    #expect(try scratch.supervise([], Self.trainer(1)) == 0)
    #expect(
      digest(in: scratch.standardOutput) != digest(in: other.standardOutput), "it began with the weights")
  }

  /// Weights are replicated beside the whole state, and another machine starts from the latter.
  @Test func weightsAreReplicatedAndNotStartedFrom() throws {
    let (first, second) = (Workbench(), Workbench())
    defer { for bench in [first, second] { bench.close() } }
    let options = [
      "--remote", first.base + "/remote", "--remote-heartbeat", "1s", "--remote-keep-last", "1",
      "--weights-only",
      "--every-steps", "20", "--every-epochs", "off",
    ]
    let run = try first.start(options, Self.trainer(6))
    try first.wait(for: "steps") { try first.status("step") >= 10 }
    #expect(try first.holdfast(["checkpoint", "--state-dir", first.state]).status == 0)
    let whole = try #require(try Self.of(first, weights: false).first)
    let pull = ["checkpoints", "pull", "test", "--remote", first.base + "/remote", "--list", "--json"]
    struct Remote: Decodable {
      var checkpoints: [Entry]

      struct Entry: Decodable {
        var step: Int
        var weightsOnly: Bool
        enum CodingKeys: String, CodingKey {
          case step
          case weightsOnly = "weights_only"
        }
      }
    }
    func remote() throws -> [Remote.Entry] {
      let listed = try first.holdfast(pull)
      return listed.status != 0
        ? [] : try JSONDecoder().decode(Remote.self, from: Data(listed.out.utf8)).checkpoints
    }
    try first.wait(for: "both kinds, one of each") {
      let found = try remote()
      return found.count == 2 && found.contains { $0.weightsOnly && $0.step > whole.step }
        && found.contains { !$0.weightsOnly && $0.step == whole.step }
    }
    try first.killBoth(run)
    #expect(try second.supervise(options, Self.trainer(6, delay: "0ms")) == 0, "\(second.standardError)")
    let from = try second.attempts().last?["resumed_from"] as? [String: Any]
    #expect(from?["step"] as? Int == whole.step, "\(from ?? [:])")
  }

  /// A trainer whose state has no weights: the job continues, and says so.
  @Test func aStateWithoutWeightsIsReported() throws {
    let bench = Workbench()
    defer { bench.close() }
    let options = ["--weights-only", "--every-steps", "5"]
    #expect(try bench.supervise(options, [Programs.faulty, "none"]) == 0, "\(bench.standardError)")
    #expect(bench.standardError.contains("consists of tensors alone"), "\(bench.standardError)")
    #expect(try Self.of(bench, weights: true).isEmpty && !Self.of(bench, weights: false).isEmpty)
  }
}
