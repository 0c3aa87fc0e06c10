import Foundation
import Testing

/// `checkpoints show` and `checkpoints export` of what real trainers have saved.
@Suite struct CheckpointContentsTests {
  private static let python: String? = ProcessInfo.processInfo.environment["HOLDFAST_TEST_PYTHON"]

  private func show(_ bench: Workbench, _ options: [String] = []) throws -> [String] {
    let result = try bench.holdfast(
      ["checkpoints", "show", "--state-dir", bench.state] + options, environment: ["LC_ALL": "C.UTF-8"])
    #expect(result.status == 0, "\(result.err)")
    return result.out.split(separator: "\n").map(String.init)
  }

  @Test func everythingIsShown() throws {
    let bench = Workbench()
    defer { bench.close() }
    #expect(try bench.supervise([], [Programs.faulty, "components"]) == 0, "\(bench.standardError)")
    let lines = try show(bench)
    for line in [
      "    step  120", " samples  120", "Metrics", "Hyperparameters", "  rate   1.0",
      #"  shape  {"drop":0.0,"rows":2}"#, "Components", "  model   2 tensors  96 B", "  tokens",
      "Loop state", "  random stream  noise  32 B", "Values", "  tokens = 7140", "Tensors",
      "  F64    [2, 3]     48  model/first/weight", "  2 tensors, 96 B",
    ] { #expect(lines.contains { $0.hasPrefix(line) }, "\(line): \(lines)") }
    // The path of a test and a digest are longer.
    let wide = lines.filter { $0.count > 80 && !$0.hasPrefix("    path") && !$0.hasPrefix("    file") }
    #expect(wide.isEmpty)

    let document = try bench.json(["checkpoints", "show"])
    #expect(
      document["hyperparameters"] as? NSDictionary == ["rate": 1.0, "shape": ["rows": 2, "drop": 0.0]])
    let tensors = try #require(document["tensors"] as? [[String: Any]])
    #expect(tensors.compactMap { $0["name"] as? String } == ["model/first/weight", "model/second/weight"])
    #expect(tensors.first?["shape"] as? [Int] == [2, 3] && tensors.first?["size_bytes"] as? Int == 48)
    let values = try #require(document["values"] as? [[String: Any]])
    #expect(values.map { $0["path"] as? String } == ["tokens"] && values.first?["value"] as? Int == 7140)
    let parts = try #require(document["loop_state"] as? [[String: Any]])
    #expect(parts.first?["kind"] as? String == "rng" && parts.first?["size_bytes"] as? Int == 32)
    let components = try #require(document["components"] as? [[String: Any]])
    #expect(components.map { $0["name"] as? String } == ["model", "tokens"])
    #expect((document["metrics"] as? [String: Double])?.keys.sorted() == ["loss"])
  }

  /// Of every element type, of no dimension, empty, and with any names, across a kill.
  @Test func fiftyThousandTensors() throws {
    let bench = Workbench()
    defer { bench.close() }
    let options = ["--stage-every", "50ms", "--every", "1h"]
    let command = [Programs.faulty, "many-tensors", bench.base + "/marker"]
    #expect(try bench.supervise(options, command) == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == "digest 12 0 true", "\(bench.standardOutput)")
    #expect(try bench.attempts().map { $0["cause"] as? String } == ["killed", "finished"])

    let lines = try show(bench)
    #expect(lines.count < 50)
    let name = "step-12"
    let note =
      "  first 20 of 50,000; all: holdfast checkpoints show --state-dir \(bench.state) \(name) --tensors"
    #expect(lines.contains(note), "\(lines)")
    #expect(try show(bench, ["--tensors"]).count > 50_000)
    let document = try bench.json(["checkpoints", "show"])
    #expect((document["tensors"] as? [Any])?.count == 50_000)

    let path = bench.base + "/all.safetensors"
    let export = ["checkpoints", "export", name, path, "--state-dir", bench.state, "--weights-only"]
    let result = try bench.holdfast(export)
    #expect(result.status == 0, "\(result.err)")
    guard let python = Self.python else { return }
    let script = """
      import safetensors, sys
      with open(sys.argv[1], "rb") as file:
          tensors = dict(safetensors.deserialize(file.read()))
      print(len(tensors), len({one["dtype"] for one in tensors.values()}), tensors["层 0"]["shape"])
      print(tensors["\\x01 6"]["dtype"], len(tensors["a/b 3"]["data"]), tensors["é 1"]["shape"])
      """
    let read = try Workbench.run(python, ["-c", script, path])
    #expect(read.out == "50000 22 [2, 0, 3]\nF8_E5M2 6 []\n", "\(read.out) \(read.err)")
    #expect(read.status == 0, "\(read.err)")
  }

  @Test func exportNeverReplacesAFileUnasked() throws {
    let bench = Workbench()
    defer { bench.close() }
    #expect(try bench.supervise([], [Programs.faulty, "components"]) == 0, "\(bench.standardError)")
    let path = try bench.write("file", "mine")
    let export = ["checkpoints", "export", "step-120", path, "--state-dir", bench.state]
    let refused = try bench.holdfast(export)
    #expect(refused.status == 73 && refused.err.contains("already exists"))
    #expect(try String(contentsOfFile: path, encoding: .utf8) == "mine")
    #expect(try bench.holdfast(export + ["--force"]).status == 0)
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)).count > 96)
    let lost = try bench.holdfast(
      ["checkpoints", "export", "step-120", "/nowhere/file", "--state-dir", bench.state, "--json"])
    #expect(lost.status == 74 && lost.err.contains("\"exit_code\":74"), "\(lost.err)")
    #expect(
      try bench.holdfast(["checkpoints", "export", "step-120", "--state-dir", bench.state]).status == 64)
    let url = try bench.holdfast(
      ["checkpoints", "export", "step-120", "s3://b/file", "--state-dir", bench.state])
    #expect(url.status == 64)
    // No temporary file is left.
    let left = try FileManager.default.contentsOfDirectory(atPath: bench.base).filter { $0.hasPrefix(".") }
    #expect(left.isEmpty)
  }
}
