import Foundation
import Testing

/// Impossible numbers in a store, all at once: no command and no start traps.
@Suite struct HostileStoreTests {
  @Test(arguments: ["largest", "smallest", "zero", "notFinite"]) func commandsAndStartsDoNotTrap(
    numbers: String
  ) throws {
    let bench = Workbench()
    defer { bench.close() }
    try StoreBuilder.build(["hostile", bench.state, numbers])
    for command in [
      ["status"], ["status", "--json"], ["history"], ["history", "--json"], ["history", "--last", "2"],
      ["history", "--attempt", "3"], ["events"], ["events", "--json"], ["snapshots"],
      ["snapshots", "--json"], ["snapshots", "--last", "2"], ["checkpoints", "list"],
      ["checkpoints", "list", "--json"],
    ] {
      let shown = try bench.holdfast(command + ["--state-dir", bench.state])
      #expect(shown.status == 0 && !shown.out.isEmpty, "\(command): \(shown.status) \(shown.err)")
    }
    let status = try bench.supervise(["--metrics-file", bench.base + "/metrics"], ["/bin/true"])
    #expect(status == 0, "\(bench.standardError)")
    // Its number follows the plausible ones.
    let newest = try #require(try bench.attempts().last)
    #expect(newest["attempt"] as? Int == 4 && newest["cause"] as? String == "finished")
    let metrics = try String(contentsOfFile: bench.base + "/metrics", encoding: .utf8)
    #expect(metrics.contains("holdfast_attempt{job=\"test\"} 4"))
  }

  /// A person may have put anything there.
  @Test(arguments: ["9223372036854775807", "-9223372036854775808", "99999999999999999999"])
  func archivingHandlesAnyEntryName(name: String) throws {
    let bench = Workbench()
    defer { bench.close() }
    #expect(try bench.supervise([], ["/bin/true"]) == 0)
    for taken in [name, "1"] {
      try FileManager.default.createDirectory(
        atPath: "\(bench.state)/runs/\(taken)", withIntermediateDirectories: true)
    }
    #expect(try bench.supervise(["--again"], ["/bin/true"]) == 0, "\(bench.standardError)")
    #expect(FileManager.default.fileExists(atPath: bench.state + "/runs/2/store"))
    let left = try FileManager.default.contentsOfDirectory(atPath: "\(bench.state)/runs/\(name)")
    #expect(left.isEmpty)
  }
}

/// Makes stores that would take too long to make by running jobs.
enum StoreBuilder {
  private static let program: String = {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    return root.appendingPathComponent(".build/debug/StoreBuilder").path
  }()

  static func build(_ arguments: [String]) throws {
    let built = try Workbench.run(program, arguments)
    try #require(built.status == 0, "\(built.err)")
  }
}
