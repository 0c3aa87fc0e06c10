import Foundation
import Holdfast
import POSIX
import SystemPackage

/// A large state under a real supervisor: what the first staging costs the trainer, and what the supervisor needs.
struct LargeStateBenchmark {
  let place: FilePath
  let memory: FilePath
  let programs: String

  func run() throws {
    let small = try measure(megabytes: 480)
    Report.line(
      "first requested staging of 480 MiB",
      "\(Report.nanoseconds(small.first)), \(Report.ratio(small.first / small.later)) × a later one",
      "≤ 60 ms, or 1.3 × a later one",
      isMet: small.first <= max(60e6, 1.3 * small.later))
    Report.peer("a later staging", Report.nanoseconds(small.later))
    let large = try measure(megabytes: 2048)
    let most = max(small.anonymousBytes, large.anonymousBytes)
    Report.line(
      "anonymous memory, states of 480 MiB and 2 GiB",
      "\(small.anonymousBytes >> 20) MiB, \(large.anonymousBytes >> 20) MiB", "≤ 64 MiB, constant",
      isMet: most <= 64 << 20 && abs(small.anonymousBytes - large.anonymousBytes) <= 16 << 20)
  }

  private struct Measured {
    /// Nanoseconds of the steps that staged.
    var first: Double
    var later: Double
    /// The most that the supervisor had while it staged, published and verified.
    var anonymousBytes = 0
  }

  private func measure(megabytes: Int) throws -> Measured {
    let (job, log) = ("large\(megabytes)", place.appending("stalls\(megabytes)"))
    let process = Process()
    process.executableURL = URL(fileURLWithPath: programs + "/holdfast")
    process.arguments = [
      "run", "--state-dir", place.appending(job).string, "--run-dir", memory.appending(job).string,
      "--stage-every", "1s", "--every", "3s", "--keep-last", "1", "--", programs + "/Benchmarks", "large",
      "\(megabytes)", log.string,
    ]
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    process.standardInput = FileHandle.nullDevice
    try process.run()
    defer {
      kill(process.processIdentifier, SIGTERM)
      process.waitUntilExit()
      for path in [place.appending(job), memory.appending(job)] { try? FileSystem.removeTree(path) }
    }
    var most = 0
    var stalls: [Double] = []
    while stalls.count < 8, process.isRunning {
      usleep(20_000)
      most = max(most, anonymousBytes(process.processIdentifier))
      let text = (try? String(contentsOfFile: log.string, encoding: .utf8)) ?? ""
      stalls = text.split(separator: "\n").compactMap { Double($0) }
    }
    guard stalls.count >= 8 else { throw Failed() }
    return Measured(first: stalls[0], later: Sample(Array(stalls[2...])).median, anonymousBytes: most)
  }

  private struct Failed: Error {}

  private func anonymousBytes(_ pid: Int32) -> Int {
    let text = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("RssAnon:") }
    return (line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
  }
}

/// A trainer with a large state, which logs how long each step took that staged it.
enum LargeTrainer {
  private final class Weights: Stateful {
    var tensor: Tensor

    init(bytes: Int) { tensor = Tensor([Float](repeating: 1.5, count: bytes / 4)) }

    var state: StateValue { .tensor(tensor) }

    func load(_ state: StateValue) throws(CheckpointError) {
      guard case .tensor(let tensor) = state else { return }
      self.tensor = tensor
    }
  }

  static func run(megabytes: Int, log: String) throws {
    let run = try Run.attach()
    run.register("weights", Weights(bytes: megabytes << 20))
    try run.restore()
    var text = ""
    while true {
      let began = now()
      try run.step()
      let taken = now() - began
      // Copying one MiB takes longer than 20 µs.
      if taken > UInt64(megabytes) * 20_000 {
        text += "\(taken)\n"
        try text.write(toFile: log, atomically: true, encoding: .utf8)
      }
      usleep(20_000)
    }
  }
}
