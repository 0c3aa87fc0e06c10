import Foundation
import TestSupport
import Testing

/// A store that is damaged, or whose disk fails or is full, costs history at most: nothing ends by a signal, the
/// trainer goes on, and the run ends as if nothing had been.
@Suite struct DamagedStoreTests {
  private static let length = ["--epochs", "3"]
  private static let command = [Programs.trainer] + length + ["--step-delay", "15ms"]
  private static let questions = [["status"], ["history"], ["checkpoints"], ["events"], ["snapshots"]]

  /// No command ends by a signal, whatever the file contains at that moment.
  private func ask(_ bench: Workbench, _ state: String) throws {
    for question in Self.questions {
      let result = try bench.holdfast(question + ["--state-dir", state])
      #expect([0, 64, 65, 66, 74].contains(result.status), "\(question): \(result.status) \(result.err)")
    }
  }

  /// The disk fails once, at one of the store's writes: among them that of a meta page.
  @Test(.enabled(if: access("/usr/bin/strace", X_OK) == 0, "strace is needed"), arguments: [2, 3, 4, 6])
  func oneFailedWriteIsRecovered(write: Int) async throws {
    let expected = try await Undisturbed.shared.digest(Self.length)
    let bench = Workbench()
    defer { bench.close() }
    let trace = [
      "/usr/bin/strace", "-f", "-qq", "-o", bench.base + "/trace", "-P", bench.state + "/store/data.mdb",
    ]
    let failing = ["-e", "trace=pwrite64", "-e", "inject=pwrite64:error=EIO:when=\(write)"]
    let run = ["run", "--job", "test", "--state-dir", bench.state, "--run-dir", bench.run, "--"]
    let line = trace + failing + [Programs.holdfast] + run + Self.command
    let result = try bench.shell(line.joined(separator: " "))
    #expect(result.status == 0 && digest(in: result.out) == expected, "\(result.err)")
    #expect(try String(contentsOfFile: bench.base + "/trace", encoding: .utf8).contains("INJECTED"))
    let status = try bench.holdfast(["status", "--state-dir", bench.state])
    #expect(status.status == 0 && !status.out.contains("Degraded"), "\(status.out)\(status.err)")
  }

  /// Somebody copies a backup over the store, cuts it, or removes it, under a supervisor at work.
  @Test(arguments: [
    // An older store in its place is whole, and takes what is known again.
    ("cp backup data.mdb", "another program overwrote the store"),
    ("truncate -s 5000 data.mdb", "the store was damaged or replaced while it was open"),
    ("rm data.mdb", "the store was damaged or replaced while it was open"),
    ("mv backup data.mdb", "the store was damaged or replaced while it was open"),
  ])
  func damageUnderARunningJob(damage: String, words: String) async throws {
    let expected = try await Undisturbed.shared.digest(Self.length)
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try bench.start([], Self.command)
    try bench.wait(for: "some steps") { try bench.status("step") > 3 }
    let place = "cd \(bench.state)/store; "
    #expect(try bench.shell(place + "cp data.mdb backup").status == 0)
    let copied = try bench.status("step")
    try bench.wait(for: "more steps in the store") { try bench.status("step") > copied + 15 }
    // It makes no step meanwhile: on a busy machine the job would be over before it was damaged.
    let trainer = try #require(bench.trainerPID)
    kill(trainer, SIGSTOP)
    #expect(try bench.shell(place + damage).status == 0)
    kill(trainer, SIGCONT)
    for _ in 0..<3 { try ask(bench, bench.state) }
    supervisor.waitUntilExit()
    #expect(supervisor.terminationReason == .exit && supervisor.terminationStatus == 0)
    #expect(digest(in: bench.standardOutput) == expected, "\(bench.standardError)")
    #expect(bench.standardError.contains(words), "\(bench.standardError)")
    #expect(try bench.attempts().count == 1)
    #expect(try bench.holdfast(["status", "--state-dir", bench.state]).out.contains("finished"))
  }

  /// Without its store the job resumes from memory, with the id in the ring.
  @Test func missingStoreLeavesStagedCheckpoints() async throws {
    let expected = try await Undisturbed.shared.digest(Self.length)
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try bench.start(["--every", "1h", "--stage-every", "50ms"], Self.command)
    try bench.wait(for: "some steps") { try bench.status("step") > 20 }
    kill(supervisor.processIdentifier, SIGKILL)
    supervisor.waitUntilExit()
    var random = Generator(seed: 5)
    let noise = Data((0..<300_000).map { _ in UInt8(truncatingIfNeeded: random.next()) })
    try noise.write(to: URL(fileURLWithPath: bench.state + "/store/data.mdb"))
    try ask(bench, bench.state)
    #expect(try bench.supervise([], Self.command) == 0, "\(bench.standardError)")
    #expect(bench.standardError.contains("attempt 2 resumed from step"), "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == expected)
    let aside = try Data(contentsOf: URL(fileURLWithPath: bench.state + "/store/damaged-1.mdb"))
    #expect(aside == noise)
  }

  /// On these filesystems a page of a file that is mapped for writing may find no room.
  @Test(
    .enabled(if: geteuid() == 0, "root is needed to mount an image"),
    .enabled(if: access("/dev/loop-control", F_OK) == 0, "loop devices are needed to mount an image"),
    arguments: [("ext4", ""), ("xfs", ""), ("btrfs", "; truncate -s -4096 disk/fill0")])
  func fullDiskRaisesNoSignal(system: String, then: String) async throws {
    let expected = try await Undisturbed.shared.digest(Self.length)
    let bench = Workbench()
    defer { bench.close() }
    let base = bench.base
    defer { _ = try? bench.shell("umount -l \(base)/disk || true") }
    let made = try bench.shell(
      """
      set -e; cd \(base); mkdir disk; truncate -s 320M image; mkfs.\(system) -q image; mount -o loop image disk
      """)
    try #require(made.status == 0, "\(made.err)")
    let state = base + "/disk/job"
    let supervisor = try bench.start(
      program: [
        Programs.holdfast, "run", "--job", "test", "--state-dir", state, "--run-dir", bench.run, "--every",
        "200ms",
        "--",
      ] + Self.command)
    func status() throws -> String { try bench.holdfast(["status", "--state-dir", state]).out }
    try bench.wait(for: "a durable checkpoint") { try status().contains("durable") }
    let trainer = try #require(bench.trainerPID)
    kill(trainer, SIGSTOP)
    _ = try bench.shell(
      """
      cd \(base); rm -f disk/job/store/lock.mdb
      dd if=/dev/zero of=disk/fill0 bs=1M; for i in 1 2 3; do dd if=/dev/zero of=disk/fill$i bs=4k; sync -f disk; done
      \(then)
      """)
    #expect(supervisor.isRunning)
    kill(trainer, SIGCONT)
    try bench.wait(for: "the word") { bench.standardError.contains("warning: ") }
    // Its last step waits until there is room, however long the questions take.
    kill(trainer, SIGSTOP)
    for _ in 0..<3 { try ask(bench, state) }
    _ = try bench.shell("rm \(base)/disk/fill*")
    kill(trainer, SIGCONT)
    supervisor.waitUntilExit()
    #expect(
      supervisor.terminationReason == .exit && supervisor.terminationStatus == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == expected)
  }
}
