import Foundation
import TestSupport
import Testing

/// A resume point that is not what was written costs that resume point, and nothing else.
@Suite struct DamagedImageTests {
  /// A job that was killed with its supervisor, with two images in the arena and older checkpoints on disk. It
  /// is put back to that moment as often as it is needed.
  private final class KilledJob {
    let bench = Workbench()
    let length = ["--epochs", "2"]
    let newest: Int
    let steps: [UInt64]

    init() throws {
      let process = try bench.start(
        ["--stage-every", "20ms", "--every", "150ms"],
        [Programs.trainer] + length + ["--step-delay", "20ms"])
      let bench = bench
      try bench.wait(for: "two images, both newer than a checkpoint") {
        guard let trainer = bench.trainerPID else { return false }
        // Both processes are stopped while the files are read and changed.
        let both = [process.processIdentifier, trainer]
        for pid in both { kill(pid, SIGSTOP) }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: bench.state + "/checkpoints")) ?? []
        let durable =
          names.filter { !$0.hasPrefix(".") }.compactMap { UInt64($0.drop { !$0.isNumber }) }.max() ?? 0
        let slots = (0...1).compactMap { Self.slot($0, bench) }
        if durable > 0, slots.count == 2, slots.allSatisfy({ $0.step > max(20, durable) && $0.isDigested }) {
          return true
        }
        for pid in both { kill(pid, SIGCONT) }
        return false
      }
      try bench.killBoth(process)
      let both = try (0...1).map { try #require(Self.slot($0, bench)).step }
      steps = both
      newest = both[0] > both[1] ? 0 : 1
      _ = try bench.shell(
        "cp -a \(bench.state) \(bench.base)/state.kept; cp -a \(bench.run) \(bench.base)/run.kept")
    }

    private static func slot(_ number: Int, _ bench: Workbench) -> (step: UInt64, isDigested: Bool)? {
      guard let slot = try? bench.slot(number), slot.complete == 1,
        let header = FileManager.default.contents(atPath: "\(bench.run)/arena-0-\(number)")
      else { return nil }
      let cut = header[32..<48].map { String(format: "%02x", $0) }.joined()
      let digest = try? String(contentsOfFile: "\(bench.run)/digest-0-\(number).json", encoding: .utf8)
      let step = header[72..<80].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      return (step, digest?.contains(cut) ?? false)
    }

    var path: String { "\(bench.run)/arena-0-\(newest)" }
    var otherPath: String { "\(bench.run)/arena-0-\(1 - newest)" }

    /// Damages it, and runs it to its end.
    func goOn(
      _ damage: () throws -> Void
    ) throws -> (status: Int32, digest: String?, from: String, text: String) {
      _ = try bench.shell(
        """
        rm -rf \(bench.state) \(bench.run) \(bench.base)/out \(bench.base)/err
        cp -a \(bench.base)/state.kept \(bench.state); cp -a \(bench.base)/run.kept \(bench.run)
        """)
      try damage()
      let status = try bench.supervise(
        ["--stage-every", "1s", "--every", "10min"], [Programs.trainer] + length)
      let attempts = try bench.attempts()
      let from = attempts.last?["resumed_from"] as? [String: Any]
      let point = "\(from?["level"] ?? "beginning") \(from?["step"] ?? 0)"
      #expect(attempts.count == 2, "no attempt is spent on what is damaged\n\(bench.standardError)")
      #expect(try bench.status("restart_budget") == 5)
      return (status, digest(in: bench.standardOutput), point, bench.standardError)
    }

    func write(_ bytes: [UInt8], to path: String, at offset: UInt64) throws {
      let file = try #require(FileHandle(forUpdatingAtPath: path))
      try file.seek(toOffset: offset)
      try file.write(contentsOf: Data(bytes))
      try file.close()
    }

    /// Changes the slot's header, and makes its checksum right again.
    func writeHeader(_ value: UInt64, at offset: UInt64) throws {
      try write((0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }, to: path, at: offset)
      let header = try #require(FileManager.default.contents(atPath: path))[..<88]
      var crc: UInt32 = ~0
      for byte in header {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xedb8_8320 : crc >> 1 }
      }
      crc = ~crc
      try write((0..<4).map { UInt8(truncatingIfNeeded: crc >> (8 * $0)) }, to: path, at: 88)
    }
  }

  @Test func damageDoesNotChangeResult() async throws {
    let expected = try await Undisturbed.shared.digest(["--epochs", "2"])
    let job = try KilledJob()
    defer { job.bench.close() }
    let newest = "staged \(job.steps[job.newest])"
    let older = "staged \(job.steps[1 - job.newest])"
    // A leading dot: one that was being published when the job was killed.
    let checkpoints = try FileManager.default.contentsOfDirectory(atPath: job.bench.state + "/checkpoints")
      .filter { !$0.hasPrefix(".") }

    func expect(_ what: String, _ point: String, _ damage: () throws -> Void) throws {
      let (status, digest, from, text) = try job.goOn(damage)
      #expect(status == 0, "\(what)\n\(text)")
      #expect(digest == expected, "\(what)\n\(text)")
      #expect(from.hasPrefix(point), "\(what): from \(from)\n\(text)")
      #expect(!text.contains("does not reproduce the run it resumed"), "\(what)\n\(text)")
      if from != newest { #expect(text.contains("is damaged"), "\(what)\n\(text)") }
    }
    func both() throws {
      for path in [job.path, job.otherPath] { try job.write([1, 2, 3], to: path, at: 4096 + 60_000) }
    }

    try expect("nothing", newest) {}
    try expect("a page of zeros", older) {
      try job.write([UInt8](repeating: 0, count: 4096), to: job.path, at: 4096 * 11)
    }
    try expect("an absurd step", older) { try job.writeHeader(1 << 60, at: 72) }
    try expect("a step less", older) { try job.writeHeader(job.steps[job.newest] - 1, at: 72) }
    try expect("too short a length", older) { try job.writeHeader(100_000, at: 80) }
    try expect("a length beyond the file", older) { try job.writeHeader(.max, at: 80) }
    try expect("an unreadable digest", older) {
      try Workbench.flipBit(of: job.path, at: 60_003)
      try job.write(Array("{".utf8), to: "\(job.bench.run)/digest-0-\(job.newest).json", at: 20)
    }
    try expect("no digest any more", newest) {
      try FileManager.default.removeItem(atPath: "\(job.bench.run)/digest-0-\(job.newest).json")
    }
    try expect("both images", "durable ", both)
    try expect("everything", "beginning 0") {
      try both()
      for name in checkpoints {
        try Workbench.flipBit(of: "\(job.bench.state)/checkpoints/\(name)/state.safetensors", at: 60_000)
      }
    }

    // One byte anywhere: header, the image's own header, tensors, and what is behind the image.
    var random = Generator(seed: 11)
    for region in [0..<96, 4096..<4104, 4104..<9000, 9000..<115_000, 115_000..<131_072] {
      for _ in 0..<2 {
        let offset = UInt64(Int.random(in: region, using: &random))
        try expect("byte \(offset)", "staged ") { try Workbench.flipBit(of: job.path, at: offset) }
      }
    }
  }

  /// The next one is the durable copy, which may be whole and is awaited, or an older one if there is no copy.
  @Test(arguments: [(true, false), (true, true), (false, false)])
  func imageThatKillsTrainerIsSkippedAfterTwoDeaths(isDurable: Bool, isSlow: Bool) throws {
    let bench = Workbench()
    defer { bench.close() }
    let strace = ["/usr/bin/strace", "-f", "-qq", "-o", bench.base + "/trace"]
    let slow = ["-e", "trace=fsync", "-e", "inject=fsync:delay_enter=1s"]
    let run = try bench.start(
      program: (isSlow ? strace + slow : []) + [
        Programs.holdfast, "run", "--job", "test", "--state-dir", bench.state, "--run-dir", bench.run,
        "--stage-every", "20ms", "--every", "10min",
      ] + (isDurable ? [] : ["--no-checkpoints"])
        + ["--", Programs.faulty, "die-while-restoring", bench.base + "/marker"])
    run.waitUntilExit()
    #expect(run.terminationStatus == 0, "\(bench.standardError)")
    let undisturbed = Workbench()
    defer { undisturbed.close() }
    #expect(try undisturbed.supervise([], [Programs.faulty, "none"]) == 0)
    #expect(digest(in: bench.standardOutput) == digest(in: undisturbed.standardOutput))
    let points = try bench.attempts().map { $0["resumed_from"] as? [String: Any] }
    let steps = points.map { $0?["step"] as? Int ?? -1 }
    try #require(steps.count == 4, "\(bench.standardError)")
    #expect(steps[1] == steps[2] && steps[3] >= 0, "\(steps)")
    #expect(isDurable ? steps[3] == steps[2] : steps[3] < steps[2], "\(steps)")
    #expect(points[2]?["level"] as? String == "staged")
    #expect(points[3]?["level"] as? String == (isDurable ? "durable" : "staged"))
    #expect(bench.standardError.contains("from now on another resume point is used"))
    #expect(!bench.standardError.contains("does not reproduce the run it resumed"))
  }

  /// The trainer does not answer, and its newest image is damaged when it is to be made durable.
  @Test func damagedImageIsNeverPublished() async throws {
    let expected = try await Undisturbed.shared.digest(["--epochs", "2"])
    let bench = Workbench()
    defer { bench.close() }
    let command = [Programs.trainer, "--epochs", "2"]
    let supervisor = try bench.start(
      ["--stage-every", "20ms", "--every", "10min", "--grace", "4s"], command + ["--step-delay", "20ms"])
    try bench.wait(for: "some images") { try bench.status("staged_step") > 20 }
    let trainer = try #require(bench.trainerPID)
    kill(trainer, SIGSTOP)
    // Whatever was under way is over.
    var before: [Data] = []
    try bench.wait(for: "the digests of what is staged") {
      let now = (0...1).compactMap {
        FileManager.default.contents(atPath: "\(bench.run)/digest-0-\($0).json")
      }
      usleep(300_000)
      defer { before = now }
      return now.count == 2 && now == before
    }
    for slot in 0...1 where try bench.slot(slot).complete == 1 {
      try Workbench.flipBit(of: "\(bench.run)/arena-0-\(slot)", at: 4096 + 60_000)
    }
    kill(supervisor.processIdentifier, SIGTERM)
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 75, "\(bench.standardError)")
    #expect(bench.standardError.contains("no checkpoint can be made durable"), "\(bench.standardError)")
    let list = try #require(try bench.json(["checkpoints", "list"])["checkpoints"] as? [[String: Any]])
    #expect(!list.contains { $0["level"] as? String == "durable" }, "\(list)")
    #expect(try bench.supervise([], command) == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == expected)
  }

  /// A script that sets no seed dies after its first, second and third step, before anything was asked of it.
  @Test func stateBeforeFirstStepIsRetained() throws {
    let bench = Workbench()
    defer { bench.close() }
    let command = [Programs.faulty, "unseeded", bench.base + "/marker"]
    let options = ["--stage-every", "1h", "--max-stalls", "9"]
    #expect(try bench.supervise(options, command) == 0, "\(bench.standardError)")
    let first = bench.standardOutput.split(separator: "\n").filter { $0.hasPrefix("first ") }
    #expect(first.count >= 2 && Set(first).count == 1, "\(first)")
    #expect(bench.standardError.contains("resumed from the state before the first step (staged)"))
    #expect(!bench.standardError.contains("does not reproduce the run it resumed"), "\(bench.standardError)")
    let attempts = try bench.attempts()
    #expect(attempts.count == 4)
    let resumed = attempts[1]["resumed_from"] as? [String: Any]
    #expect(resumed?["level"] as? String == "staged" && resumed?["step"] as? Int == 0, "\(attempts)")
  }
}
