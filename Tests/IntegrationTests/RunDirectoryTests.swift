import Foundation
import TestSupport
import Testing

/// Bytes that nobody wrote in the files between supervisor and trainer: after the death of both, while
/// the trainer starts, and while it runs.
@Suite struct RunDirectoryTests {
  static let length = ["--epochs", "2"]
  static let command = [Programs.trainer] + length + ["--step-delay", "5ms"]
  static let options = ["--stage-every", "20ms"]

  @Test(arguments: ["ring-0", "arena-0-0", "arena-0-1"])
  func randomBytesAfterTheDeathOfBoth(name: String) async throws {
    let expected = try await Undisturbed.shared.digest(Self.length)
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try bench.start(Self.options, Self.command)
    try bench.wait(for: "a staged step") { try bench.status("staged_step") > 0 }
    try bench.killBoth(supervisor)
    var random = Generator(seed: 5)
    try Data(random.bytes(100_000)).write(to: URL(fileURLWithPath: "\(bench.run)/\(name)"))
    #expect(try bench.supervise(Self.options, Self.command) == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == expected)
  }

  /// The trainer must not go on from what it cannot read; the attempt after it can.
  @Test func randomBytesInResumeJSONWhileTheTrainerStarts() async throws {
    let expected = try await Undisturbed.shared.digest(Self.length)
    let bench = Workbench()
    defer { bench.close() }
    let wrapper = try bench.write(
      "wrapper",
      """
      #!/bin/bash
      [ $HOLDFAST_ATTEMPT -gt 3 ] || head -c $((HOLDFAST_ATTEMPT * 1000)) /dev/urandom > $HOLDFAST_RUN_DIR/resume.json
      exec \(Programs.trainer) --epochs 2
      """, executable: true)
    #expect(try bench.supervise(["--max-stalls", "6"], [wrapper]) == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == expected)
    let causes = try bench.attempts().map { $0["cause"] as? String }
    #expect(causes == ["crashed", "crashed", "crashed", "finished"], "\(bench.standardError)")
  }

  /// As above, for the image of a full snapshot that is to be resumed from.
  @Test func randomBytesInTheSnapshotWhileTheTrainerStarts() throws {
    let expected = digest(in: try Workbench.run(Programs.faulty, ["none"]).out)
    let bench = Workbench()
    defer { bench.close() }
    let wrapper = try bench.write(
      "wrapper",
      """
      #!/bin/bash
      snapshot=$HOLDFAST_RUN_DIR/snapshot-0.safetensors
      if [ $HOLDFAST_ATTEMPT = 2 ]; then
        [ -s $snapshot ] || exit 9
        head -c $(stat -c %s $snapshot) /dev/urandom > $snapshot
      fi
      exec \(Programs.faulty) full-snapshots
      """, executable: true)
    let supervisor = try bench.start(["--stage-every", "1h"], [wrapper])
    try bench.wait(for: "a few steps") { try bench.status("step") > 20 }
    kill(try #require(bench.trainerPID), SIGKILL)
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == expected)
    let attempts = try bench.attempts()
    let causes = attempts.map { $0["cause"] as? String }
    // They come before the supervisor reads the file, which gives the trainer an older point then; or between
    // that and the trainer, which falls over them and gets the file anew.
    #expect(causes == ["killed", "finished"] || causes == ["killed", "crashed", "finished"], "\(causes)")
    #expect(attempts[1]["exit_status"] as? Int != 9, "there was a snapshot to scribble over")
    if causes.count == 2 {
      #expect(bench.standardError.contains("(snapshot) is damaged"), "\(bench.standardError)")
    } else {
      #expect((attempts[2]["resumed_from"] as? [String: Any])?["level"] as? String == "snapshot")
    }
  }

  /// Over the trainer's line of the ring's header, and over its records, while both sides use them.
  /// Records may be lost; nothing crashes, and the end has the same bits.
  @Test(arguments: 1...3 as ClosedRange<UInt64>) func randomBytesInALiveRing(seed: UInt64) async throws {
    let expected = try await Undisturbed.shared.digest(Self.length)
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try bench.start(Self.options, Self.command)
    try bench.wait(for: "a few steps") { try bench.status("step") > 5 }
    var random = Generator(seed: seed)
    for _ in 0..<25 {
      scribble(over: bench.run + "/ring-0", &random)
      let status = try bench.holdfast(["status", "--state-dir", bench.state])
      #expect(status.status == 0, "\(status.status) \(status.err.suffix(2000))")
      if !supervisor.isRunning { break }
      usleep(UInt32(random.below(20_000)))
      // Several attempts, so that what each says is added up.
      if random.below(12) == 0, let trainer = bench.trainerPID { kill(trainer, SIGKILL) }
    }
    supervisor.waitUntilExit()
    #expect(
      supervisor.terminationReason == .exit && supervisor.terminationStatus == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == expected, "seed \(seed)")
    for command in [["status"], ["status", "--json"], ["history"], ["history", "--json"], ["events"]] {
      let result = try bench.holdfast(command + ["--state-dir", bench.state])
      #expect(result.status == 0, "\(command) \(result.status) \(result.err.suffix(2000))")
    }
  }

  /// Words of the trainer's line are at 128 to 175; the first says how much was written, and records
  /// begin at 4096.
  private func scribble(over path: String, _ random: inout Generator) {
    // It may be gone: the job is finished, or the next ring takes its place.
    guard let file = FileHandle(forUpdatingAtPath: path) else { return }
    defer { try? file.close() }
    var place = 128 + 8 * random.below(6)
    var bytes = random.bytes(8)
    if random.below(3) > 0, let header = try? file.read(upToCount: 136), header.count == 136 {
      // Among the newest, which nobody has read yet: a length, a sequence, a checksum or what they are of.
      let written = header[128..<136].reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
      place = max(4096, 4096 + Int(written % (4 << 20)) - 8 * random.below(60))
      bytes = random.bytes(4)
    }
    try? file.seek(toOffset: UInt64(place))
    try? file.write(contentsOf: Data(bytes))
  }

  @Test func resumeFileOfAnotherJobIsRejected() throws {
    let bench = Workbench()
    defer { bench.close() }
    // The trainer's command first replaces the file that the supervisor wrote.
    let wrapper = try bench.write(
      "wrapper",
      "#!/bin/bash\nsed -i 's/\"job_id\":\"[0-9a-f]*\"/\"job_id\":\"0123456789abcdef0123456789abcdef\"/' "
        + "$HOLDFAST_RUN_DIR/resume.json\nexec \(Programs.trainer) --epochs 1\n", executable: true)
    #expect(try bench.supervise(["--max-stalls", "2"], [wrapper]) == 69)
    #expect(bench.standardError.contains("belongs to another job"))
  }
}
