import Foundation
import Testing

/// Metrics of a job that trains, is killed, and resumes.
@Suite struct MetricsTests {
  /// Samples by name and labels.
  private func samples(_ text: String) -> [String: Double] {
    var samples: [String: Double] = [:]
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      guard let space = line.lastIndex(of: " ") else { continue }
      samples[String(line[..<space])] = Double(line[line.index(after: space)...])
    }
    return samples
  }

  /// Those that must never go back.
  private func isCounter(_ sample: String) -> Bool {
    let name = sample.prefix { $0 != "{" }
    return name.hasSuffix("_total") || name.hasPrefix("holdfast_step_duration_seconds_")
  }

  private func get(_ url: String) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/curl")
    process.arguments = ["--silent", "--fail", "--max-time", "20", "--noproxy", "*", url]
    let out = Pipe()
    process.standardOutput = out
    try process.run()
    let text = String(decoding: out.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return process.terminationStatus == 0 ? text : ""
  }

  @Test func countersNeverDecreaseAfterKills() async throws {
    let length = ["--epochs", "12"]
    let expected = try await Undisturbed.shared.digest(length)
    let bench = Workbench()
    defer { bench.close() }
    let port = Int.random(in: 20_000..<32_000)
    let options = [
      "--metrics-listen", "\(port)", "--metrics-file", bench.base + "/x.prom", "--stage-every", "300ms",
      "--every", "700ms",
    ]
    let command = [Programs.trainer] + length + ["--step-delay", "20ms"]
    var supervisor = try bench.start(options, command)
    var highest: [String: Double] = [:]
    func scrape() throws -> [String: Double] {
      let now = samples(try get("http://127.0.0.1:\(port)/metrics"))
      for (name, value) in now where isCounter(name) {
        #expect(value >= highest[name] ?? 0, "\(name) goes back")
        highest[name] = value
      }
      return now
    }
    for round in 0..<4 {
      let before = highest[#"holdfast_steps_total{job="test"}"#] ?? 0
      try bench.wait(for: "steps in round \(round)") {
        try scrape()[#"holdfast_steps_total{job="test"}"#] ?? 0 > before + 20
      }
      if round % 2 == 0, let trainer = bench.trainerPID {
        kill(trainer, SIGKILL)
      } else {
        kill(supervisor.processIdentifier, SIGKILL)
        supervisor.waitUntilExit()
        supervisor = try bench.start(options, command)
      }
    }
    try bench.wait(for: "all attempts in the metrics") {
      let now = try scrape()
      return now[#"holdfast_attempts_total{job="test",cause="killed"}"#] == 2
        && now[#"holdfast_restarts_total{job="test",cause="orphaned"}"#] == 2
        && now[#"holdfast_trainer_metric{job="test",name="loss"}"#] != nil
    }
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == expected)
    let last = samples(try String(contentsOfFile: bench.base + "/x.prom", encoding: .utf8))
    for (name, value) in highest { #expect(last[name] ?? 0 >= value, "\(name) goes back") }
    #expect(last[#"holdfast_up{job="test"}"#] == 0)
    #expect(
      last[#"holdfast_step{job="test"}"#] == last[#"holdfast_checkpoint_step{job="test",level="durable"}"#])
    #expect(last[#"holdfast_replayed_steps_total{job="test"}"#] ?? 0 > 0)
  }

  @Test func unavailableMetricsAreReportedAndJobContinues() throws {
    let bench = Workbench()
    defer { bench.close() }
    let missing = bench.base + "/none/x.prom"
    let options = ["--metrics-listen", "192.0.2.1:9400", "--metrics-file", missing]
    let status = try bench.supervise(options, [Programs.trainer, "--epochs", "2", "--step-delay", "20ms"])
    #expect(status == 0)
    for line in [
      "cannot serve metrics at 192.0.2.1:9400: Cannot assign requested address",
      "cannot write metrics to \(missing): No such file or directory",
    ] {
      #expect(bench.standardError.components(separatedBy: line).count == 2, "\(bench.standardError)")
    }
  }

  @Test func invalidAddressStartsNothing() throws {
    let bench = Workbench()
    defer { bench.close() }
    let option = try bench.holdfast([
      "run", "--state-dir", bench.state, "--metrics-listen", "example.org:80", "--", Programs.trainer,
    ])
    #expect(option.status == 64 && option.err.contains("'example.org' is not an IP address"), "\(option.err)")
    let file = try bench.write("x.toml", "command = [\"true\"]\n[metrics]\nlisten = \"::1:9400\"\n")
    let config = try bench.holdfast(["run", "--config", file, "--state-dir", bench.state])
    #expect(config.status == 78 && config.err.contains("\(file):3:10"), "\(config.err)")
    #expect(config.err.contains("write [::1]:9400"), "\(config.err)")
    #expect(!FileManager.default.fileExists(atPath: bench.state))
  }
}
