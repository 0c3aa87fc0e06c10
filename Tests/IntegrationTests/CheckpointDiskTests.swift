import Foundation
import Testing

/// The checkpoints are on a disk of their own, which fails. The trainer continues, `status` says what is wrong, and
/// writing resumes by itself.
@Suite(.enabled(if: geteuid() == 0, "root is needed to mount a file system"))
struct CheckpointDiskTests {
  /// An ext4 of its own for one test, with few inodes.
  private final class Disk {
    let path: String

    init(_ bench: Workbench) throws {
      path = bench.base + "/disk"
      let make = "mkdir \(path); truncate -s 24M \(path).image; mkfs.ext4 -q -N 200 \(path).image"
      try run(bench, make)
      try mount(bench)
    }

    deinit { umount2(path, Int32(MNT_DETACH)) }

    func mount(_ bench: Workbench) throws { try run(bench, "mount -o loop \(path).image \(path)") }

    /// A process that has just been killed may still use it.
    func unmount(_ bench: Workbench) throws {
      try bench.wait(for: "the unmounting") { umount2(path, 0) == 0 || errno != EBUSY }
    }

    private func run(_ bench: Workbench, _ script: String) throws {
      let made = try bench.shell(script)
      try #require(made.status == 0, "\(made.err)")
    }
  }

  private static func degraded(_ bench: Workbench) throws -> String {
    (try bench.json(["status"])["degraded"] as? [String] ?? []).joined(separator: "; ")
  }

  /// - Parameters:
  ///   - fault: a command of sh(1) in the disk's root.
  ///   - words: what `status` says of it; empty: it is mended before anybody sees it.
  ///   - mend: the command that ends it.
  @Test(arguments: [
    ("mkdir junk; i=0; while : >junk/$i; do i=$((i+1)); done", "no inode is free", "rm -r junk"),
    ("dd if=/dev/zero of=junk bs=4k", "no space for a checkpoint", "rm junk"),
    ("mv checkpoints aside", "could not be made durable", "mv aside checkpoints"),
    ("rm -r checkpoints", "", "true"),
    (
      "mv checkpoints aside; touch checkpoints", "could not be made durable",
      "rm checkpoints; mv aside checkpoints"
    ),
  ])
  func aFaultPasses(fault: String, words: String, mend: String) async throws {
    let expected = try await Undisturbed.shared.digest(["--epochs", "6"])
    let bench = Workbench()
    defer { bench.close() }
    let disk = try Disk(bench)
    let run = try bench.start(
      ["--checkpoint-dir", disk.path + "/checkpoints", "--every", "200ms", "--stage-every", "50ms"],
      [Programs.trainer, "--epochs", "6", "--step-delay", "40ms"])
    func durableStep() throws -> Int { try bench.status("durable_step") }
    try bench.wait(for: "a durable checkpoint") { try durableStep() > 0 }
    _ = try bench.shell("cd \(disk.path) && { \(fault); } 2>/dev/null")
    if !words.isEmpty {
      try bench.wait(for: "the word") { try Self.degraded(bench).contains(words) }
      #expect(run.isRunning)
      #expect(try bench.holdfast(["status", "--check", "--state-dir", bench.state]).status == 5)
    }
    let step = try bench.status("step")
    _ = try bench.shell("cd \(disk.path) && { \(mend); }")
    try bench.wait(for: "the next durable checkpoint") { try durableStep() >= step }
    #expect(try Self.degraded(bench) == "")
    run.waitUntilExit()
    #expect(run.terminationStatus == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == expected)
    #expect(try bench.attempts().count == 1)
    #expect(try bench.holdfast(["checkpoints", "verify", "--state-dir", bench.state]).status == 0)
    #expect(!bench.standardError.contains("cannot remove the old checkpoint"), "\(bench.standardError)")
  }

  /// System calls fail for a while. After a failed fsync(2) the kernel may have dropped what was written, so all of it is
  /// written anew.
  @Test(
    .enabled(if: access("/usr/bin/strace", X_OK) == 0, "strace is needed"),
    arguments: [
      ("fsync:error=EIO", "Input/output error"),
      ("mkdir:error=EDQUOT", "a disk quota has no room"),
    ])
  func callsFail(fault: String, words: String) async throws {
    let expected = try await Undisturbed.shared.digest(["--epochs", "6"])
    let bench = Workbench()
    defer { bench.close() }
    let run = try bench.start(
      ["--every", "200ms", "--stage-every", "50ms"],
      [Programs.trainer, "--epochs", "6", "--step-delay", "40ms"])
    try bench.wait(for: "a durable checkpoint") { try bench.status("durable_step") > 0 }
    let strace = Process()
    strace.executableURL = URL(fileURLWithPath: "/usr/bin/strace")
    strace.arguments = [
      "-f", "-qq", "-o", bench.base + "/trace", "-e", "trace=\(fault.prefix { $0 != ":" })", "-e",
      "inject=\(fault)", "-p", "\(run.processIdentifier)",
    ]
    try strace.run()
    defer { kill(strace.processIdentifier, SIGKILL) }
    try bench.wait(for: "the word") { try Self.degraded(bench).contains(words) }
    // The kernel detaches what it traced. It inherited a mask that blocks SIGTERM.
    kill(strace.processIdentifier, SIGKILL)
    strace.waitUntilExit()
    run.waitUntilExit()
    #expect(
      run.terminationStatus == 0 && digest(in: bench.standardOutput) == expected, "\(bench.standardError)")
    #expect(bench.standardError.contains("can be made durable again"), "\(bench.standardError)")
    #expect(try bench.holdfast(["checkpoints", "verify", "--state-dir", bench.state]).status == 0)
  }

  /// A directory below a mount point is not created on the disk that is mounted there by chance.
  @Test func anotherDiskIsNotWritten() throws {
    let bench = Workbench()
    defer { bench.close() }
    let disk = try Disk(bench)
    let run = try bench.start(
      ["--checkpoint-dir", disk.path + "/checkpoints", "--every", "200ms", "--stage-every", "50ms"],
      [Programs.trainer, "--epochs", "4", "--step-delay", "20ms"])
    try bench.wait(for: "a durable checkpoint") { try bench.status("durable_step") > 0 }
    _ = try bench.shell("rm -r \(disk.path)/checkpoints; umount -l \(disk.path)")
    run.waitUntilExit()
    #expect(run.terminationStatus == 74, "\(bench.standardError)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: disk.path) == [])
  }

  /// A start after a power loss while the checkpoint disk is not mounted would begin from the beginning, and fill
  /// another disk.
  @Test(arguments: ["", "/jobs/own"]) func aStartWithoutTheDiskIsRefused(below: String) async throws {
    let expected = try await Undisturbed.shared.digest(["--epochs", "6"])
    let bench = Workbench()
    defer { bench.close() }
    let disk = try Disk(bench)
    let options = ["--checkpoint-dir", disk.path + below] + Self.often
    try losePower(bench, options)
    try disk.unmount(bench)
    // Also without the option: the job remembers it.
    for options in [options, Self.often] {
      #expect(
        try bench.supervise(options, [Programs.trainer, "--epochs", "6"]) == 74, "\(bench.standardError)")
    }
    for words in ["is its filesystem mounted?", "where: \(disk.path + below)", "the newest one is step-"] {
      #expect(bench.standardError.contains(words), "no '\(words)' in: \(bench.standardError)")
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: disk.path) == [])
    #expect(try bench.attempts().count == 1)
    for command in [["status"], ["checkpoints", "list"], ["checkpoints", "verify"]] {
      let result = try bench.holdfast(command + ["--state-dir", bench.state])
      #expect((result.out + result.err).contains("mounted?"), "\(result)")
      #expect(command.last == "verify" || result.out.contains("MISSING"), "\(result)")
    }
    try disk.mount(bench)
    #expect(try bench.supervise(options, [Programs.trainer, "--epochs", "6"]) == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == expected)
    let from = try bench.attempts().last?["resumed_from"] as? [String: Any]
    #expect(from?["level"] as? String == "durable")
  }

  /// What the user decided about a checkpoint directory is not refused.
  /// - Parameters:
  ///   - change: a command of sh(1) beside the disk, which is not mounted when it truncates or is empty.
  ///   - directory: of the next start.
  ///   - level: where that resumes.
  @Test(arguments: [
    ("rm -r disk/own", "disk/own", "beginning"),
    ("mkdir other && mv disk/own/* other/", "other", "durable"),
    ("", "other", "beginning"),
    ("mkdir -p disk/own && truncate -s 0 disk/own/.holdfast-job", "disk/own", "beginning"),
  ])
  func aDecisionAboutTheDirectory(change: String, directory: String, level: String) throws {
    let bench = Workbench()
    defer { bench.close() }
    let disk = try Disk(bench)
    try losePower(bench, ["--checkpoint-dir", disk.path + "/own"] + Self.often)
    if change.isEmpty || change.contains("truncate") { try disk.unmount(bench) }
    #expect(try bench.shell("cd \(bench.base) && { \(change.isEmpty ? "true" : change); }").status == 0)
    let options = ["--checkpoint-dir", bench.base + "/" + directory]
    #expect(try bench.supervise(options, [Programs.trainer, "--epochs", "6"]) == 0, "\(bench.standardError)")
    let from = try bench.attempts().last?["resumed_from"] as? [String: Any]
    #expect(from?["level"] as? String ?? "beginning" == level, "\(bench.standardError)")
    #expect(try bench.holdfast(["checkpoints", "verify", "--state-dir", bench.state]).status == 0)
  }

  /// A directory that the user did not decide about is refused while the checkpoints are in the old one.
  @Test func checkpointsInAnotherDirectoryAreNotForgotten() throws {
    let bench = Workbench()
    defer { bench.close() }
    let disk = try Disk(bench)
    try losePower(bench, ["--checkpoint-dir", disk.path + "/own"] + Self.often)
    let options = ["--checkpoint-dir", bench.base + "/other"]
    #expect(
      try bench.supervise(options, [Programs.trainer, "--epochs", "6"]) == 73, "\(bench.standardError)")
    #expect(bench.standardError.contains("in another directory"), "\(bench.standardError)")
  }

  /// The job starts with what is staged, and writing resumes by itself.
  @Test(arguments: [
    ("dd if=/dev/zero of=junk bs=4k", "no space for a checkpoint", "rm junk"),
    ("mkdir own/.publishing-1; mount -o remount,ro .", "Read-only file system", "mount -o remount,rw ."),
  ])
  func aStartWithAFailingDisk(fault: String, words: String, mend: String) async throws {
    let expected = try await Undisturbed.shared.digest(["--epochs", "6"])
    let bench = Workbench()
    defer { bench.close() }
    let disk = try Disk(bench)
    let options = ["--checkpoint-dir", disk.path + "/own"] + Self.often
    let command = [Programs.trainer, "--epochs", "6", "--step-delay", "40ms"]
    let first = try bench.start(options, command)
    try bench.wait(for: "a durable checkpoint") { try bench.status("durable_step") > 0 }
    try bench.killBoth(first)
    _ = try bench.shell("cd \(disk.path) && { \(fault); } 2>/dev/null")
    let durable = try bench.status("durable_step")
    let second = try bench.start(options, command)
    try bench.wait(for: "the word") {
      try !second.isRunning || Self.degraded(bench).contains(words)
    }
    #expect(second.isRunning, "\(bench.standardError)")
    #expect(try bench.status("durable_step") == durable)
    let text = try bench.holdfast(["status", "--state-dir", bench.state]).out
    #expect(text.contains(" for checkpoints and "), "the space of their disk: \(text)")
    _ = try bench.shell("cd \(disk.path) && { \(mend); }")
    try bench.wait(for: "the next durable checkpoint") { try bench.status("durable_step") > durable }
    #expect(try Self.degraded(bench) == "")
    second.waitUntilExit()
    #expect(second.terminationStatus == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == expected)
    #expect(try bench.attempts().count == 2)
    #expect(try bench.holdfast(["checkpoints", "verify", "--state-dir", bench.state]).status == 0)
  }

  /// The state that is saved at a stop is in memory, which the stop says.
  @Test func aStopWithAFullDisk() throws {
    let bench = Workbench()
    defer { bench.close() }
    let disk = try Disk(bench)
    let run = try bench.start(
      ["--checkpoint-dir", disk.path + "/own"] + Self.often,
      [Programs.trainer, "--epochs", "40", "--step-delay", "40ms"])
    try bench.wait(for: "a durable checkpoint") { try bench.status("durable_step") > 0 }
    _ = try bench.shell("cd \(disk.path) && dd if=/dev/zero of=junk bs=4k")
    try bench.wait(for: "the word") { try Self.degraded(bench).contains("no space for a checkpoint") }
    #expect(try bench.holdfast(["stop", "--state-dir", bench.state]).status == 0)
    run.waitUntilExit()
    #expect(run.terminationStatus == 75, "\(bench.standardError)")
    let words = "is saved only in memory, in \(bench.run): a power loss would cost it"
    #expect(bench.standardError.contains(words), "\(bench.standardError)")
  }

  /// A directory that cannot be used for the first time is an error of the disk: a unit tries again.
  @Test(arguments: [
    ("mkdir own; dd if=/dev/zero of=junk bs=4k", "No space left on device", "df -h"),
    ("mkdir own; mount -o remount,ro .", "Read-only file system", "mounted read-only"),
  ])
  func aNewJobWithAFailingDisk(fault: String, words: String, hint: String) throws {
    let bench = Workbench()
    defer { bench.close() }
    let disk = try Disk(bench)
    _ = try bench.shell("cd \(disk.path) && { \(fault); } 2>/dev/null")
    let options = ["--checkpoint-dir", disk.path + "/own"]
    #expect(
      try bench.supervise(options, [Programs.trainer, "--epochs", "1"]) == 74, "\(bench.standardError)")
    for words in ["cannot use the checkpoint directory", words, hint] {
      #expect(bench.standardError.contains(words), "no '\(words)' in: \(bench.standardError)")
    }
  }

  static let often = ["--every", "200ms", "--stage-every", "50ms"]

  /// Kills a job with a durable checkpoint, and removes what it had in memory.
  private func losePower(_ bench: Workbench, _ options: [String]) throws {
    let run = try bench.start(options, [Programs.trainer, "--epochs", "6", "--step-delay", "20ms"])
    try bench.wait(for: "a durable checkpoint") { try bench.status("durable_step") > 0 }
    try bench.killBoth(run)
    try FileManager.default.removeItem(atPath: bench.run)
  }

  /// Before the first step, with numbers.
  @Test func aShortageIsForetold() throws {
    let bench = Workbench()
    defer { bench.close() }
    let disk = try Disk(bench)
    let options = ["--checkpoint-dir", disk.path + "/checkpoints", "--keep-last", "300"]
    #expect(try bench.supervise(options, [Programs.trainer, "--epochs", "1"]) == 0)
    for words in ["so 301 checkpoints take", "301 checkpoints take 1204 inodes", "--keep-last"] {
      #expect(bench.standardError.contains(words), "\(bench.standardError)")
    }
    let events = try bench.holdfast(["events", "--state-dir", bench.state]).out
    #expect(events.contains("so 301 checkpoints take"), "\(events)")
    let other = Workbench()
    defer { other.close() }
    #expect(try other.supervise([], [Programs.trainer, "--epochs", "1"]) == 0)
    #expect(!other.standardError.contains("take"), "\(other.standardError)")
  }
}
