import Foundation
import TestSupport
import Testing

/// What can be wrong with a command line, a directory, a store or a checkpoint, and what each gets.
@Suite struct PlaceFaultTests {
  static let quick = [Programs.trainer, "--epochs", "1"]

  private func expectError(
    _ bench: Workbench, _ status: Int32, _ expected: Int32, _ words: String...,
    at location: SourceLocation = #_sourceLocation
  ) {
    #expect(status == expected, "\(bench.standardError)", sourceLocation: location)
    for word in words + ["error: ", "  hint: ", "(exit \(expected))"] {
      #expect(
        bench.standardError.contains(word), "no '\(word)' in: \(bench.standardError)",
        sourceLocation: location)
    }
  }

  @Test func commandNotFound() throws {
    let bench = Workbench()
    defer { bench.close() }
    expectError(bench, try bench.supervise([], ["no-such-command-anywhere"]), 127, "not found")
    #expect(try bench.supervise([], ["/nowhere/at/all"]) == 127)
  }

  @Test func commandNotExecutable() throws {
    let bench = Workbench()
    defer { bench.close() }
    let script = try bench.write("script", "#!/bin/sh\n")
    expectError(bench, try bench.supervise([], [script]), 126, "cannot be executed", "Permission denied")
    let orphan = try bench.write("orphan", "#!/no/such/interpreter\n", executable: true)
    expectError(
      bench, try bench.supervise([], [orphan]), 127, "its interpreter /no/such/interpreter does not exist")
    let garbage = try bench.write("garbage", "this is no program", executable: true)
    expectError(
      bench, try bench.supervise([], [garbage]), 126, "cannot be executed", "Exec format error", "#!/bin/sh")
    expectError(bench, try bench.supervise([], [script + "/x"]), 126, "cannot be executed", "Not a directory")
  }

  /// As env(1): a program that may not be reached is not one that is not there.
  @Test func commandBehindALockedDirectory() throws {
    let bench = Workbench()
    defer { bench.close() }
    let locked = bench.base + "/locked"
    try FileManager.default.createDirectory(atPath: locked + "/bin", withIntermediateDirectories: true)
    _ = try bench.write("locked/bin/program", "#!/bin/sh\n", executable: true)
    chmod(locked, 0o600)
    defer { chmod(locked, 0o700) }
    for (path, name) in [("/bin", "\(locked)/bin/program"), ("\(locked)/bin:/bin", "program")] {
      let result = try bench.unprivileged(
        ["run", "--job", "test", "--state-dir", bench.state, "--run-dir", bench.run, "--", name],
        environment: ["PATH": path])
      #expect(result.status == 126, "\(result.err)")
      #expect(
        result.err.contains("Permission denied") && result.err.contains("where: \(locked)\n"), "\(result.err)"
      )
    }
    #expect(!FileManager.default.fileExists(atPath: bench.state), "no job was made")
  }

  @Test func stateDirectoryThatCannotBeCreated() throws {
    let bench = Workbench()
    defer { bench.close() }
    let file = try bench.write("state", "a file is in the way")
    expectError(bench, try bench.supervise([], Self.quick), 73, "cannot create the state directory", file)
  }

  @Test(arguments: [false, true]) func stateDirectoryThatCannotBeWritten(exists: Bool) throws {
    let bench = Workbench()
    defer { bench.close() }
    let directory = exists ? bench.state : bench.base
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    chmod(directory, 0o555)
    defer { chmod(directory, 0o755) }
    let result = try bench.unprivileged(
      ["run", "--job", "test", "--state-dir", bench.state, "--run-dir", bench.run, "--"] + Self.quick)
    let words = exists ? "cannot write to the state directory" : "cannot create the state directory"
    #expect(result.status == 73 && result.err.contains("error: \(words)"), "\(result.err)")
    #expect(result.err.contains(" where: \(bench.state)") && result.err.contains("Permission denied"))
    #expect(result.err.contains("  hint: ") && result.err.contains("(exit 73)"))
  }

  @Test func runDirectoryOfAnotherUser() throws {
    let bench = Workbench()
    defer { bench.close() }
    try FileManager.default.createDirectory(atPath: bench.run, withIntermediateDirectories: true)
    chmod(bench.run, 0o777)
    expectError(bench, try bench.supervise([], Self.quick), 73, "not private")
  }

  @Test func secondSupervisor() throws {
    let bench = Workbench()
    defer { bench.close() }
    try bench.start([], [Programs.trainer, "--epochs", "1000", "--step-delay", "10ms"])
    try bench.wait(for: "the first") { bench.trainerPID != nil }
    let second = try bench.holdfast(
      ["run", "--job", "test", "--state-dir", bench.state, "--run-dir", bench.run, "--"] + Self.quick)
    #expect(second.status == 73)
    #expect(second.err.contains("error: job 'test' is already supervised"))
    #expect(second.err.contains("  hint: holdfast status"))
    // Another state directory with the same run directory is refused too.
    let third = try bench.holdfast(
      ["run", "--job", "other", "--state-dir", bench.base + "/other", "--run-dir", bench.run, "--"]
        + Self.quick)
    #expect(third.status == 73 && third.err.contains("used by another job"))
  }

  @Test func invalidStore() throws {
    let bench = Workbench()
    defer { bench.close() }
    try FileManager.default.createDirectory(atPath: bench.state + "/store", withIntermediateDirectories: true)
    var random = Generator(seed: 11)
    let bytes = Data((0..<65536).map { _ in UInt8(truncatingIfNeeded: random.next()) })
    try bytes.write(to: URL(fileURLWithPath: bench.state + "/store/data.mdb"))
    #expect(try bench.holdfast(["status", "--state-dir", bench.state]).status == 65)
    #expect(try bench.supervise([], Self.quick) == 0, "\(bench.standardError)")
    #expect(bench.standardError.contains("the damaged file is \(bench.state)/store/damaged-1.mdb"))
    #expect(try bench.holdfast(["status", "--state-dir", bench.state]).status == 0)
  }

  @Test func storeOfNewerFormat() throws {
    let bench = Workbench()
    defer { bench.close() }
    #expect(try bench.supervise([], Self.quick) == 0)
    // Through LMDB's own tools, as anyone could.
    let shell = Process()
    shell.executableURL = URL(fileURLWithPath: "/bin/bash")
    let script = """
      set -e; cd \(bench.state)
      mdb_dump -a store | sed "/^ 666f726d61745f76657273696f6e$/{n;s/.*/ 393939/}" > dump
      rm -r store; mkdir store; mdb_load -f dump store
      """
    shell.arguments = ["-c", script]
    try shell.run()
    shell.waitUntilExit()
    try #require(shell.terminationStatus == 0, "mdb_dump and mdb_load: Debian's lmdb-utils")
    expectError(bench, try bench.supervise([], Self.quick), 78, "newer holdfast")
  }

  // MARK: Checkpoints

  /// A stopped job with two durable checkpoints and nothing in memory; `spoil` gets the newest's path.
  private func resumeAfter(_ spoil: (String) throws -> Void) async throws -> (
    bench: Workbench, spoiled: String
  ) {
    let expected = try await Undisturbed.shared.digest(["--epochs", "4"])
    let bench = Workbench()
    let command = [Programs.trainer, "--epochs", "4", "--step-delay", "8ms"]
    let supervisor = try bench.start(["--stage-every", "20ms", "--every", "150ms"], command)
    try bench.wait(for: "two checkpoints") {
      bench.standardError.components(separatedBy: "is durable").count > 3
    }
    kill(supervisor.processIdentifier, SIGTERM)
    supervisor.waitUntilExit()
    let list = try #require(try bench.json(["checkpoints", "list"])["checkpoints"] as? [[String: Any]])
    #expect(list.count == 2, "the last two are kept")
    let newest = try #require(list.first?["name"] as? String)
    try spoil("\(bench.state)/checkpoints/\(newest)")
    try FileManager.default.removeItem(atPath: bench.run)
    #expect(try bench.supervise([], command) == 0)
    #expect(digest(in: bench.standardOutput) == expected)
    return (bench, newest)
  }

  private func expectSkipped(_ bench: Workbench, _ name: String) throws {
    #expect(bench.standardError.contains("checkpoint \(name) is damaged"), "\(bench.standardError)")
    #expect(
      FileManager.default.fileExists(atPath: "\(bench.state)/checkpoints/\(name)"), "never deleted by us")
    let verify = try bench.holdfast(["checkpoints", "verify", "--state-dir", bench.state])
    #expect(verify.status == 65 && verify.out.contains("\(name)  DAMAGED"))
  }

  @Test func aFlippedBit() async throws {
    let (bench, name) = try await resumeAfter { path in
      try Workbench.flipBit(of: path + "/state.safetensors", at: 50_000)
    }
    defer { bench.close() }
    try expectSkipped(bench, name)
  }

  @Test func aMissingFile() async throws {
    let (bench, name) = try await resumeAfter { path in
      try FileManager.default.removeItem(atPath: path + "/state.safetensors")
    }
    defer { bench.close() }
    try expectSkipped(bench, name)
  }

  @Test func aTruncatedManifest() async throws {
    let (bench, name) = try await resumeAfter { path in truncate(path + "/manifest.json", 100) }
    defer { bench.close() }
    try expectSkipped(bench, name)
  }

  @Test func digestsAreThoseOfXxh128sum() async throws {
    let (bench, _) = try await resumeAfter { path in
      let check = Process()
      check.executableURL = URL(fileURLWithPath: "/usr/bin/xxh128sum")
      check.arguments = ["--check", "--strict", "--status", "XXH128SUMS"]
      check.currentDirectoryURL = URL(fileURLWithPath: path)
      try check.run()
      check.waitUntilExit()
      #expect(check.terminationStatus == 0)
    }
    bench.close()
  }
}
