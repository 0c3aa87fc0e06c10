import Foundation
import Testing

/// How a job ends or continues when something other than its trainer misbehaves.
@Suite struct EndingTests {
  private static let quick = [Programs.trainer, "--epochs", "1"]

  /// An export that fails, or a library that crashes while the interpreter shuts down, every time.
  @Test(arguments: [("exit 3", "exit 3"), ("kill -SEGV $$", "ended by SIGSEGV")])
  func failureAfterLoopIsReportedAndCheckpointRetained(end: String, words: String) async throws {
    let bench = Workbench()
    defer { bench.close() }
    let script = "\(Programs.trainer) --epochs 1; \(end)"
    #expect(try bench.supervise(["--max-stalls", "2"], ["/bin/bash", "-c", script]) == 69)
    #expect(digest(in: bench.standardOutput) == (try await Undisturbed.shared.digest(["--epochs", "1"])))
    let attempts = try bench.attempts()
    #expect(attempts.compactMap { $0["cause"] as? String } == Array(repeating: "crashed", count: 3))
    let step = try #require(attempts.last?["finished_step"] as? Int)
    let said = bench.standardError
    #expect(said.contains("gave up: the training is complete at step \(step)"), "\(said)")
    #expect(said.contains("why: \(words)") && said.contains("kept: checkpoint step-\(step)"), "\(said)")
    let status = try bench.json(["status"])
    #expect(status["state"] as? String == "gave_up" && status["durable_step"] as? Int == step)
    #expect((status["failing"] as? String)?.contains("what comes after it fails") == true)
    let shown = try bench.holdfast(["history", "--state-dir", bench.state])
    #expect(shown.out.contains("after its loop was complete"), "\(shown.out)")
    // The next start tries it again, and what works at last is finished.
    #expect(try bench.supervise([], [Programs.trainer, "--epochs", "1"]) == 0)
    #expect(try bench.json(["status"])["state"] as? String == "finished")
  }

  /// Exports for a long time after its last step, once; afterwards the export is short.
  private func exporting(_ bench: Workbench) -> [String] {
    let export = "[ -e \(bench.base)/seen ] || { touch \(bench.base)/seen; exec sleep 1000; }; echo exported"
    return ["/bin/bash", "-c", "\(Programs.trainer) --epochs 1; \(export)"]
  }

  private func waitForExport(_ bench: Workbench) throws {
    try bench.wait(for: "the export") { FileManager.default.fileExists(atPath: bench.base + "/seen") }
    try bench.wait(for: "the end of the loop") {
      try bench.status("staged_step") > 0 && bench.trainerPID != nil
    }
  }

  @Test func killAfterLoopRepeatsExport() throws {
    let bench = Workbench()
    defer { bench.close() }
    let process = try bench.start([], exporting(bench))
    try waitForExport(bench)
    kill(try #require(bench.trainerPID), SIGKILL)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(bench.standardError)")
    #expect(bench.standardOutput.contains("exported\n"))
    #expect(try bench.attempts().map { $0["cause"] as? String } == ["killed", "finished"])
    #expect(try bench.attempts().last?["steps"] as? Int == 0, "the training is not made again")
  }

  @Test func stopAfterLoopIsAStop() throws {
    let bench = Workbench()
    defer { bench.close() }
    let process = try bench.start(["--grace", "4s"], exporting(bench))
    try waitForExport(bench)
    kill(process.processIdentifier, SIGTERM)
    process.waitUntilExit()
    #expect(process.terminationStatus == 75, "\(bench.standardError)")
    #expect(try bench.json(["status"])["state"] as? String == "stopped")
    #expect(try bench.supervise([], exporting(bench)) == 0, "\(bench.standardError)")
    #expect(bench.standardOutput.contains("exported\n"))
    #expect(try bench.attempts().map { $0["cause"] as? String } == ["stopped", "finished"])
  }

  @Test func jobWithAnotherNameIsRejected() throws {
    let bench = Workbench()
    defer { bench.close() }
    #expect(try bench.supervise([], Self.quick) == 0)
    let other = try bench.holdfast(
      ["run", "--job", "other", "--state-dir", bench.state, "--run-dir", bench.run, "--"] + Self.quick)
    #expect(other.status == 78 && other.err.contains("is 'test', not 'other'"), "\(other.err)")
  }

  /// The supervisor died after it had moved the checkpoints, before it moved the store.
  @Test func interruptedArchivingIsCompleted() async throws {
    let bench = Workbench()
    defer { bench.close() }
    #expect(try bench.supervise([], Self.quick) == 0)
    let aside = bench.state + "/runs/.archiving"
    let files = FileManager.default
    try files.createDirectory(atPath: aside, withIntermediateDirectories: true)
    try files.moveItem(atPath: bench.state + "/checkpoints", toPath: aside + "/checkpoints")
    #expect(try bench.supervise(["--again"], Self.quick) == 0)
    #expect(try files.contentsOfDirectory(atPath: bench.state + "/runs") == ["1"])
    for kept in ["store", "checkpoints"] {
      #expect(files.fileExists(atPath: "\(bench.state)/runs/1/\(kept)"), "\(kept) of the finished run")
    }
    #expect(try bench.attempts().first?["resumed_from"] is NSNull, "the new run begins at the beginning")
  }

  /// As above, without --again: the finished run keeps its checkpoints.
  @Test func interruptedArchivingIsUndone() async throws {
    let bench = Workbench()
    defer { bench.close() }
    #expect(try bench.supervise([], Self.quick) == 0)
    let before = try bench.holdfast(["checkpoints", "verify", "--state-dir", bench.state]).out
    let aside = bench.state + "/runs/.archiving"
    let files = FileManager.default
    try files.createDirectory(atPath: aside, withIntermediateDirectories: true)
    try files.moveItem(atPath: bench.state + "/checkpoints", toPath: aside + "/checkpoints")
    // What is listed and gone is damaged.
    let gone = try bench.holdfast(["checkpoints", "verify", "--state-dir", bench.state])
    #expect(gone.status == 65 && gone.out.contains("missing"), "\(gone)")
    #expect(try bench.supervise([], Self.quick) == 0)
    let after = try bench.holdfast(["checkpoints", "verify", "--state-dir", bench.state])
    #expect(after.status == 0 && after.out == before && before.contains("verified"), "\(after)")
  }

  /// Each is whole, but not what the store lists: a resume uses neither, and `verify` reports it.
  @Test func exchangedCheckpointsDoNotVerify() throws {
    let bench = Workbench()
    defer { bench.close() }
    let command = [Programs.trainer, "--epochs", "2", "--step-delay", "10ms"]
    #expect(try bench.supervise(["--every", "200ms", "--stage-every", "50ms"], command) == 0)
    let names = try FileManager.default.contentsOfDirectory(atPath: bench.state + "/checkpoints").sorted()
    try #require(names.count == 2)
    let swapped = try bench.shell(
      "cd \(bench.state)/checkpoints; mv \(names[0]) x; mv \(names[1]) \(names[0]); mv x \(names[1])")
    #expect(swapped.status == 0)
    let verify = try bench.holdfast(["checkpoints", "verify", "--state-dir", bench.state])
    #expect(verify.status == 65 && verify.out.contains("DAMAGED  manifest.json: is of step"), "\(verify)")
    let list = try bench.holdfast(["checkpoints", "list", "--state-dir", bench.state])
    #expect(list.out.contains(/\n[▲!] 2 damaged, skipped when resuming: holdfast/), "\(list.out)")
  }

  /// The terminal has gone: no reason to lose anything, and none to go on without it.
  @Test func hangupWithoutConfigurationFileStops() throws {
    let bench = Workbench()
    defer { bench.close() }
    let process = try bench.start([], [Programs.trainer, "--epochs", "1000", "--step-delay", "5ms"])
    try bench.wait(for: "steps") { try bench.status("step") > 3 }
    kill(process.processIdentifier, SIGHUP)
    try bench.wait(for: "the end") { !process.isRunning }
    #expect(process.terminationStatus == 75)
    #expect(try bench.attempts().last?["cause"] as? String == "stopped")
  }

  /// Nobody reads the other end of stderr, and it is full.
  @Test func unreadStandardErrorBlocksNothing() throws {
    let bench = Workbench()
    defer { bench.close() }
    let path = bench.base + "/full"
    try #require(mkfifo(path, 0o600) == 0)
    let filler = open(path, O_RDWR | O_NONBLOCK)
    defer { close(filler) }
    let junk = [UInt8](repeating: 0x78, count: 4096)
    while write(filler, junk, junk.count) > 0 {}
    let process = Process()
    process.executableURL = URL(fileURLWithPath: Programs.holdfast)
    process.arguments =
      ["run", "--job", "test", "--state-dir", bench.state, "--run-dir", bench.run, "--"]
      + [Programs.trainer, "--epochs", "1000", "--step-delay", "5ms"]
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle(forUpdatingAtPath: path)
    try process.run()
    defer { kill(process.processIdentifier, SIGKILL) }
    try bench.wait(for: "steps") { try bench.status("step") > 3 }
    kill(process.processIdentifier, SIGTERM)
    try bench.wait(for: "the end") { !process.isRunning }
    #expect(process.terminationStatus == 75)
  }

  /// A screen in the background may not touch the terminal, and is stopped; a signal ends it still.
  @Test func backgroundWatchIsEnded() throws {
    let bench = Workbench()
    defer { bench.close() }
    let process = try bench.start([], [Programs.trainer, "--epochs", "1000", "--step-delay", "5ms"])
    try bench.wait(for: "steps") { try bench.status("step") > 3 }
    // timeout(1) makes a background group, and sends SIGTERM and SIGCONT.
    let watch = "timeout --kill-after=20 1 \(Programs.holdfast) status --watch --state-dir \(bench.state)"
    #expect(try bench.terminal("sh -c \"\(watch); exit \\$?\"").status == 124, "137: it had to be killed")
    kill(process.processIdentifier, SIGTERM)
    process.waitUntilExit()
  }
}
