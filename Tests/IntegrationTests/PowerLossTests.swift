import Foundation
import TestSupport
import Testing

/// Power that fails: the disk keeps what was flushed to it, the memory nothing. The disk is an image
/// with ext4; a copy of it, taken while every process of the job is stopped, is what a machine would
/// find at its next boot.
@Suite(
  .enabled(if: geteuid() == 0, "root is needed to mount an image"),
  .enabled(if: access("/dev/loop-control", F_OK) == 0, "loop devices are needed to mount an image"))
struct PowerLossTests {
  private func shell(_ script: String) throws -> Int32 {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/bash")
    process.arguments = ["-ec", script]
    try process.run()
    process.waitUntilExit()
    return process.terminationStatus
  }

  @Test func durableStateSurvivesPowerLoss() async throws {
    let length = ["--epochs", "4"]
    let expected = try await Undisturbed.shared.digest(length)
    let bench = Workbench()
    defer { bench.close() }
    let base = bench.base
    defer { _ = try? shell("umount -l \(base)/disk \(base)/copy 2>/dev/null || true") }
    try #require(
      try shell(
        """
        cd \(base); mkdir disk copy; truncate -s 64M image; mkfs.ext4 -q image; mount -o loop image disk
        """) == 0)
    let command = [Programs.trainer] + length
    let supervisor = Process()
    supervisor.executableURL = URL(fileURLWithPath: Programs.holdfast)
    let log = try bench.write("supervisor.log", "")
    supervisor.arguments =
      ["run", "--job", "test", "--state-dir", base + "/disk/job", "--run-dir", bench.run]
      + ["--every", "150ms", "--stage-every", "30ms", "--"] + command + ["--step-delay", "30ms"]
    supervisor.standardOutput = FileHandle.nullDevice
    supervisor.standardError = FileHandle(forWritingAtPath: log)
    try supervisor.run()
    defer {
      kill(supervisor.processIdentifier, SIGCONT)
      kill(supervisor.processIdentifier, SIGKILL)
      supervisor.waitUntilExit()
    }
    /// Step of the newest checkpoint that was said to be durable.
    func durable() throws -> Int {
      let words = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n").last {
        $0.contains(" is durable: ")
      }
      return words?.split(separator: " ").dropFirst(2).first.flatMap { Int($0) } ?? 0
    }

    var random = Generator(seed: 3)
    for round in 1...3 {
      let before = try durable()
      try bench.wait(for: "another checkpoint") { try durable() > before }
      usleep(UInt32(random.next() % 200_000))
      // Nothing new is written while the copy is made.
      kill(supervisor.processIdentifier, SIGSTOP)
      let told = try durable()
      let isCopied = try shell("cp --sparse=always \(base)/image \(base)/lost-\(round)")
      kill(supervisor.processIdentifier, SIGCONT)
      try #require(isCopied == 0)

      try #require(try shell("mount -o loop \(base)/lost-\(round) \(base)/copy") == 0)
      let state = base + "/copy/job"
      let verified = try bench.holdfast(["checkpoints", "verify", "--state-dir", state])
      #expect(verified.status == 0, "round \(round): \(verified.out)\(verified.err)")
      let memory = "\(bench.run)-\(round)"
      let resumed = try bench.holdfast(
        ["run", "--job", "test", "--state-dir", state, "--run-dir", memory, "--"] + command)
      try? FileManager.default.removeItem(atPath: memory)
      #expect(resumed.status == 0 && digest(in: resumed.out) == expected, "\(resumed.err)")
      let history = try bench.holdfast(["history", "--state-dir", state, "--json"])
      let object = try JSONSerialization.jsonObject(with: Data(history.out.utf8)) as? [String: Any]
      let attempts = try #require(object?["attempts"] as? [[String: Any]])
      let from = attempts.last?["resumed_from"] as? [String: Any]
      #expect(from?["level"] as? String == "durable")
      #expect(from?["step"] as? Int ?? 0 >= told, "what was said to be durable was")
      try #require(try shell("umount \(base)/copy; rm \(base)/lost-\(round)") == 0)
    }
  }
}
