import Foundation
import Testing

@testable import Metrics

/// Facts with every value set.
func fullFacts() -> JobFacts {
  var durations = Histogram(bounds: [0.5, 1])
  durations.add([3, 0, 1], sum: 7.25)
  var facts = JobFacts(
    job: "resnet50", jobID: "00ff", version: "0.1.0", gatheredAtNs: 1_700_000_000_250_000_000,
    stepDurations: durations)
  facts.attempt = 4
  facts.trainerIsRunning = true
  facts.residentBytes = 1 << 30
  facts.step = 48_751
  facts.totalSteps = 90_000
  facts.steppedAtNs = 1_699_999_999_000_000_000
  facts.checkpoints = [.init(level: "staged", step: 48_700), .init(level: "durable", step: 48_000)]
  facts.durableAtNs = 1_699_999_990_000_000_000
  facts.stalls = 1
  facts.goodput = 0.985
  facts.degradations = 2
  facts.trainerMetrics = [.init(name: "loss", value: .nan), .init(name: "lr", value: 0.001)]
  facts.counters.steps = 48_771
  facts.counters.replayedSteps = 20
  facts.counters.skippedRecords = 3
  facts.counters.attempts = ["preempted": 1, "crashed": 2]
  facts.counters.restarts = ["preempted": 1]
  facts.counters.seconds = ["productive": 11_500.5, "down": 90]
  return facts
}

/// The output of `promtool check metrics` for `text`; empty if it is valid.
func promtool(_ text: String) throws -> String {
  // promtool accepts empty input.
  try #require(!text.isEmpty)
  let process = Process()
  process.executableURL = URL(fileURLWithPath: "/usr/bin/promtool")
  process.arguments = ["check", "metrics"]
  let (input, output) = (Pipe(), Pipe())
  process.standardInput = input
  process.standardOutput = output
  process.standardError = output
  try process.run()
  let writing = Thread {
    try? input.fileHandleForWriting.write(contentsOf: Data(text.utf8))
    try? input.fileHandleForWriting.close()
  }
  writing.start()
  let result = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
  process.waitUntilExit()
  return process.terminationStatus == 0 ? result : result + "exit \(process.terminationStatus)"
}
