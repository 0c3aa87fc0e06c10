import Foundation
import POSIX
import SystemPackage

/// A job with a hundred thousand attempts and events, ten thousand checkpoints and a million steps: what a
/// look at it and a start of it take, in time and in memory.
struct HistoryBenchmark {
  let place: FilePath
  let memory: FilePath
  let programs: String

  func run() throws {
    let state = place.appending("attempts")
    try build(state, ["attempts=100000", "events=100000", "snapshots=1000000", "sums=1"])
    for look in ["status", "history --last 20", "events --last 20"] { try report(look, state, most: 100e6) }
    try start(state)
    let checkpoints = place.appending("checkpoints")
    try build(checkpoints, ["attempts=1", "checkpoints=10000"])
    for listing in ["history", "history --json", "events", "events --json"] { try report(listing, state) }
    for listing in ["checkpoints list", "checkpoints list --json"] { try report(listing, checkpoints) }
  }

  private func build(_ state: FilePath, _ counts: [String]) throws {
    _ = try measure(([programs + "/StoreBuilder", "long", state.string] + counts).joined(separator: " "))
  }

  /// - Parameter most: nanoseconds; nil: it takes as long as there is to be read.
  private func report(_ arguments: String, _ state: FilePath, most: Double? = nil) throws {
    var taken: [Double] = []
    var peak = 0
    for _ in 0..<(most == nil ? 1 : 9) {
      let one = try measure("\(programs)/holdfast \(arguments) --state-dir \(state)")
      taken.append(one.nanoseconds)
      peak = max(peak, one.peakBytes)
    }
    let median = Sample(taken).median
    Report.line(
      "holdfast \(arguments), long history",
      "median \(Report.nanoseconds(median)), peak \(peak >> 20) MiB",
      most == nil ? "≤ 64 MiB" : "≤ 100 ms, ≤ 64 MiB",
      isMet: peak <= 64 << 20 && median <= most ?? .infinity)
  }

  private func measure(_ command: String) throws -> (nanoseconds: Double, peakBytes: Int) {
    let began = now()
    let child = try ChildProcess(
      .init(
        path: "/bin/sh", arguments: ["sh", "-c", "exec \(command) > /dev/null"],
        environment: ["PATH=/usr/bin:/bin"]))
    // Foundation's waitUntilExit comes tens of milliseconds late.
    var exit = pollfd(fd: child.descriptor, events: Int16(POLLIN), revents: 0)
    poll(&exit, 1, -1)
    let taken = Double(now() - began)
    let status = try child.reap()
    precondition(status == .exited(0), command)
    return (taken, Int(child.usage?.peakResidentBytes ?? 0))
  }

  /// From the supervisor's exec to the trainer's first instruction.
  private func start(_ state: FilePath) throws {
    let log = place.appending("started")
    var taken: [Double] = []
    var peak = 0
    for round in 1...7 {
      let began = now()
      let child = try ChildProcess(
        .init(
          path: "/bin/sh",
          arguments: [
            "sh", "-c",
            "exec \(programs)/holdfast run --job test --state-dir \(state) --run-dir \(memory)/attempts -- "
              + "\(programs)/FirstInstruction \(log) /bin/sleep 1000 > /dev/null 2>&1",
          ], environment: ["PATH=/usr/bin:/bin"]))
      var seen: [Double] = []
      while seen.count < round {
        usleep(500)
        let text = (try? String(contentsOfFile: log.string, encoding: .utf8)) ?? ""
        seen = text.split(separator: "\n").compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }
      }
      taken.append(seen[round - 1] - Double(began))
      try child.signal(SIGTERM)
      var exit = pollfd(fd: child.descriptor, events: Int16(POLLIN), revents: 0)
      poll(&exit, 1, -1)
      _ = try child.reap()
      peak = max(peak, Int(child.usage?.peakResidentBytes ?? 0))
    }
    let median = Sample(taken).median
    Report.line(
      "start, long history", "median \(Report.nanoseconds(median)), peak \(peak >> 20) MiB",
      "≤ 100 ms, ≤ 64 MiB", isMet: median <= 100e6 && peak <= 64 << 20)
  }
}
