import Foundation
import Testing

/// A history that is long in attempts, events and checkpoints, where it was made for steps: what is shown of it is
/// read a page at a time, and a start reads none of it.
@Suite struct LongHistoryTests {
  /// Peak memory of a program, by wait4(2), and how it ended.
  private static func measure(
    _ bench: Workbench, _ arguments: [String]
  ) throws -> (status: Int, peakBytes: Int, lines: Int) {
    let script = """
      import os, sys
      pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, "\(bench.base)/listing", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)])
      status, usage = os.wait4(pid, 0)[1:]
      print(os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024)
      """
    let result = try Workbench.run("/usr/bin/python3", ["-c", script, Programs.holdfast] + arguments)
    let numbers = result.out.split(separator: " ").compactMap { Int($0.trimmingCharacters(in: .newlines)) }
    try #require(numbers.count == 2, "\(result.err)")
    let text = try Data(contentsOf: URL(fileURLWithPath: bench.base + "/listing"))
    return (numbers[0], numbers[1], text.count { $0 == UInt8(ascii: "\n") })
  }

  @Test func longHistoryIsShownInLittleMemory() throws {
    let bench = Workbench()
    defer { bench.close() }
    let counts = ["attempts=6000", "events=20000", "checkpoints=1500", "snapshots=20000", "traceback=24000"]
    try StoreBuilder.build(["long", bench.state] + counts + ["sums=1"])
    let store =
      try FileManager.default.attributesOfItem(atPath: bench.state + "/store/data.mdb")[.size] as? Int
    #expect(store ?? 0 > 128 << 20, "it is too small to tell")
    for (arguments, lines) in [
      (["status"], 5...30), (["history", "--last", "20"], 20...40), (["history"], 6000...6020),
      (["history", "--json"], 1...1), (["events"], 20_000...20_000), (["events", "--last", "20"], 20...20),
      (["snapshots"], 20_000...20_010), (["snapshots", "--last", "20"], 20...25),
      (["snapshots", "--json"], 1...1),
      (["checkpoints", "list"], 1500...1510), (["checkpoints", "list", "--json"], 1...1),
    ] {
      let shown = try Self.measure(bench, arguments + ["--state-dir", bench.state])
      #expect(shown.status == 0 && lines.contains(shown.lines), "\(arguments): \(shown)")
      #expect(shown.peakBytes < 64 << 20, "\(arguments): \(shown.peakBytes >> 20) MiB")
    }
  }

  /// A store that keeps no sums is read once, and is one that keeps them from then on.
  @Test(arguments: [[], ["sums=1"]]) func startReadsOnlyNewest(sums: [String]) throws {
    let bench = Workbench()
    defer { bench.close() }
    try StoreBuilder.build(["long", bench.state, "attempts=3000", "events=3000"] + sums)
    #expect(try bench.supervise([], ["/bin/true"]) == 0)
    let status = try bench.json(["status"])
    #expect(status["attempts"] as? Int == 3001 && status["attempt"] as? Int == 3001)
    let history = try bench.json(["history", "--last", "2"])["attempts"] as? [[String: Any]]
    #expect(history?.map { $0["attempt"] as? Int } == [3000, 3001])
    #expect(history?.last?["cause"] as? String == "finished")
    let time = try #require(status["time_seconds"] as? [String: Double])
    #expect(time["productive"] ?? 0 > 0 || time["start_up"] ?? 0 > 2999)
    #expect(try bench.holdfast(["history", "--state-dir", bench.state]).out.contains("3,001 attempts"))
  }
}
