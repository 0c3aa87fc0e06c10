import Foundation
import Testing

/// Disks that are full, or become so. Mounting a small one takes root.
@Suite(.enabled(if: geteuid() == 0, "root is needed to mount a small tmpfs"))
struct DiskFaultTests {
  /// A tmpfs of its own for one test.
  private final class SmallDisk {
    let path: String

    init(_ bench: Workbench, size: String) throws {
      path = bench.base + "/disk"
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      try #require(mount("tmpfs", path, "tmpfs", 0, "size=\(size)") == 0)
    }

    /// Takes all the room there is.
    func fill() throws {
      _ = FileManager.default.createFile(atPath: path + "/filler", contents: nil)
      let filler = try #require(FileHandle(forWritingAtPath: path + "/filler"))
      let block = Data(count: 4096)
      while true {
        do { try filler.write(contentsOf: block) } catch { return }
      }
    }

    func empty() throws { try FileManager.default.removeItem(atPath: path + "/filler") }

    deinit {
      // Lazily: what still has a file open in it must not keep the mount for ever.
      umount2(path, Int32(MNT_DETACH))
    }
  }

  private func supervise(
    _ bench: Workbench, state: String, run: String, _ options: [String], _ command: [String]
  ) throws -> (status: Int32, out: String, err: String) {
    try bench.holdfast(
      ["run", "--job", "test", "--state-dir", state, "--run-dir", run] + options + ["--"] + command)
  }

  @Test func fullDiskNeitherStopsTrainerNorCountsAsSuccess() async throws {
    let expected = try await Undisturbed.shared.digest(["--epochs", "1"])
    let bench = Workbench()
    defer { bench.close() }
    let disk = try SmallDisk(bench, size: "64k")
    let result = try supervise(
      bench, state: disk.path + "/job", run: bench.run, [], [Programs.trainer, "--epochs", "1"])
    #expect(digest(in: result.out) == expected)
    #expect(result.status == 74 && result.err.contains("(exit 74)"), "\(result.err)")
    #expect(result.err.contains("warning: cannot write to the store"))
    #expect(result.err.contains("could not be made durable"))
  }

  /// What is there can be looked at; nothing can be started in it.
  @Test func readOnlyDisk() throws {
    let bench = Workbench()
    defer { bench.close() }
    let disk = try SmallDisk(bench, size: "16m")
    let state = disk.path + "/job"
    let command = [Programs.trainer, "--epochs", "1"]
    let first = try supervise(bench, state: state, run: bench.run, [], command)
    #expect(first.status == 0, "\(first.err)")
    #expect(mount("tmpfs", disk.path, "tmpfs", UInt(MS_REMOUNT | MS_RDONLY), nil) == 0)
    for state in [state, disk.path + "/another"] {
      let result = try supervise(bench, state: state, run: bench.run, ["--again"], command)
      #expect(result.status == 73 && result.err.contains("Read-only file system"), "\(result.err)")
      #expect(result.err.contains(" where: \(state)") && result.err.contains("  hint: "))
    }
    for command in [["status"], ["history"], ["checkpoints", "verify"]] {
      let result = try bench.holdfast(command + ["--state-dir", state])
      #expect(result.status == 0, "\(command): \(result.err)")
    }
  }

  @Test func runDirectoryWithoutSpaceForRing() throws {
    let bench = Workbench()
    defer { bench.close() }
    let disk = try SmallDisk(bench, size: "1m")
    let result = try supervise(
      bench, state: bench.state, run: disk.path + "/run", [], [Programs.trainer, "--epochs", "1"])
    #expect(result.status == 73 && result.err.contains("no space left in the run directory"), "\(result.err)")
    #expect(result.err.contains("  hint: df"))
  }

  /// Neither slot fits, or one: what finds no room is staged on the disk of the job, and is as good after a kill.
  @Test(arguments: ["9m", "48m"]) func slotsWithoutRoomInMemoryAreOnDisk(size: String) throws {
    let bench = Workbench()
    defer { bench.close() }
    let memory = try SmallDisk(bench, size: size)
    let command = [Programs.trainer, "--epochs", "2", "--hidden", "1500"]
    let undisturbed = digest(in: try Workbench.run(command[0], Array(command.dropFirst())).out)
    let options = ["--state-dir", bench.state, "--run-dir", memory.path + "/run", "--stage-every", "50ms"]
    let program = [Programs.holdfast, "run", "--job", "test"] + options + ["--no-checkpoints", "--"]
    let run = try bench.start(program: program + command + ["--step-delay", "20ms"])
    func images() -> [String] {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: bench.state)) ?? []
      return names.filter { $0.hasPrefix("arena-") }
    }
    try bench.wait(for: "staged steps") { try bench.status("staged_step") > 20 }
    #expect(images().count == 1)
    try bench.killBoth(run)
    let step = try bench.status("staged_step")
    #expect(step > 20)
    let again = try bench.start(program: program + command)
    again.waitUntilExit()
    #expect(
      again.terminationStatus == 0 && digest(in: bench.standardOutput) == undisturbed,
      "\(bench.standardError)")
    let point = try bench.attempts().last?["resumed_from"] as? [String: Any]
    #expect(point?["level"] as? String == "staged" && point?["step"] as? Int == step)
    #expect(bench.standardError.contains("so staging it takes"), "\(bench.standardError)")
    #expect(!bench.standardError.contains("cannot stage"), "\(bench.standardError)")
    #expect(images().isEmpty, "like memory, the disk is freed at the end")
  }

  /// Another boot may not have written them.
  @Test func imagesOnDiskOfAnEarlierBootAreNotUsed() throws {
    let bench = Workbench()
    defer { bench.close() }
    let memory = try SmallDisk(bench, size: "9m")
    let options = ["--run-dir", memory.path + "/run", "--stage-every", "50ms", "--no-checkpoints"]
    let command = [Programs.trainer, "--epochs", "1", "--hidden", "1500"]
    let program = [Programs.holdfast, "run", "--job", "test", "--state-dir", bench.state] + options + ["--"]
    let run = try bench.start(program: program + command + ["--step-delay", "20ms"])
    try bench.wait(for: "staged steps") { try bench.status("staged_step") > 5 }
    try bench.killBoth(run)
    let moved = try bench.shell("cd \(bench.state) && mv arena-* arena-00000000-0000-0000-0000-000000000000")
    #expect(moved.status == 0, "\(moved.err)")
    let again = try bench.start(program: program + command)
    again.waitUntilExit()
    #expect(again.terminationStatus == 0, "\(bench.standardError)")
    #expect(try bench.attempts().last?["resumed_from"] is NSNull, "\(bench.standardError)")
  }

  @Test func runDirectoryAndDiskWithoutSpaceForState() throws {
    let bench = Workbench()
    defer { bench.close() }
    let disk = try SmallDisk(bench, size: "9m")
    let command = [Programs.trainer, "--epochs", "2", "--hidden", "1500"]
    let options = ["--stage-every", "50ms"]
    let result = try supervise(bench, state: disk.path + "/job", run: disk.path + "/run", options, command)
    #expect(digest(in: result.out) != nil, "the trainer went on to its end")
    #expect(result.status == 74 && result.err.contains("cannot stage a checkpoint"), "\(result.err)")
    #expect(result.err.contains("so staging it takes"), "\(result.err)")
    // With room the same command is a success.
    let again = try supervise(bench, state: bench.state, run: bench.run, options, command)
    #expect(again.status == 0 && digest(in: again.out) == digest(in: result.out), "\(again.err)")
  }

  @Test func temporarilyFullDiskLosesNothing() async throws {
    let expected = try await Undisturbed.shared.digest(["--epochs", "5"])
    let bench = Workbench()
    defer { bench.close() }
    let disk = try SmallDisk(bench, size: "16m")
    let process = Process()
    process.executableURL = URL(fileURLWithPath: Programs.holdfast)
    let state = disk.path + "/job"
    process.arguments =
      ["run", "--job", "test", "--state-dir", state, "--run-dir", bench.run]
      + ["--every", "200ms", "--stage-every", "50ms", "--"]
      + [Programs.trainer, "--epochs", "5", "--step-delay", "40ms"]
    let out = try bench.write("full.out", "")
    process.standardOutput = FileHandle(forWritingAtPath: out)
    process.standardError = FileHandle.nullDevice
    try process.run()
    defer {
      if process.isRunning { kill(process.processIdentifier, SIGKILL) }
      process.waitUntilExit()
    }
    func status() throws -> String {
      try bench.holdfast(["status", "--state-dir", state]).out
    }
    try bench.wait(for: "a durable checkpoint") { try status().contains("durable") }
    try disk.fill()
    try bench.wait(for: "the word") { try status().contains("Degraded") }
    #expect(process.isRunning)
    #expect(try bench.holdfast(["status", "--check", "--state-dir", state]).status == 5)
    try disk.empty()
    try bench.wait(for: "the recovery") { try !status().contains("Degraded") }
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    #expect(digest(in: try String(contentsOfFile: out, encoding: .utf8)) == expected)
    let attempts = try bench.holdfast(["history", "--state-dir", state, "--json"])
    #expect(attempts.out.contains("\"attempt\":1") && !attempts.out.contains("\"attempt\":2"))
  }

  /// Copies of a program's own files do not fit. The program goes on, and copies are made again once there is space.
  @Test func fullDiskOfAdoptedCheckpoints() throws {
    let bench = Workbench()
    defer { bench.close() }
    let disk = try SmallDisk(bench, size: "2m")
    let trainer = try AdoptedTrainer(bench, options: ["--checkpoint-dir", disk.path + "/checkpoints"])
    let process = try trainer.start(["--steps", "2000"])
    try bench.wait(for: "a first copy") { (try? trainer.checkpoints().isEmpty) == false }
    try disk.fill()
    func degraded() -> String {
      ((try? bench.json(["status"]))?["degraded"] as? [String])?.joined(separator: "\n") ?? ""
    }
    try bench.wait(for: "the degradation") {
      degraded().contains("cannot copy saved/step-") && degraded().contains("no space for a checkpoint")
    }
    let before = trainer.log.count
    try bench.wait(for: "further steps") { trainer.log.count > before + 2 }
    #expect(trainer.starts == ["-"], "the program was not stopped")
    let newest = try trainer.newest()
    try disk.empty()
    try bench.wait(for: "another copy") { try degraded().isEmpty && trainer.newest() != newest }
    kill(process.processIdentifier, SIGTERM)
    process.waitUntilExit()
    #expect(process.terminationStatus == 75, "\(bench.standardError)")
  }

  /// The copies fit, but what the store records of them does not: the program resumes with the newest all the same.
  @Test func fullDiskOfStoreOfAdoptedCheckpoints() throws {
    let bench = Workbench()
    defer { bench.close() }
    let disk = try SmallDisk(bench, size: "512k")
    let copies = bench.base + "/copies"
    let trainer = try AdoptedTrainer(
      bench, options: ["--checkpoint-dir", copies, "--state-dir", disk.path + "/job", "--keep-last", "100"])
    let process = try trainer.start(["--crash", "1", "--steps", "12", "--copies", copies])
    try bench.wait(for: "a first copy") { FileManager.default.fileExists(atPath: copies + "/adopted-1") }
    try disk.fill()
    process.waitUntilExit()
    #expect(bench.standardError.contains("warning: cannot write to the store"), "\(bench.standardError)")
    #expect(trainer.resumes == Array(1...12), "\(trainer.log)")
    #expect(process.terminationStatus == 74, "the store does not know the end: \(bench.standardError)")
  }
}
