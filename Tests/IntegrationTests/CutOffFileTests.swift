import Foundation
import TestSupport
import Testing

/// Files that both sides have mapped, truncated by another process: at rest, while drained, staged and published.
/// The supervisor lives, what is lost is said, and the end has the same bits.
@Suite struct CutOffFileTests {
  static let length = ["--epochs", "4"]
  static let command = [Programs.trainer] + length + ["--step-delay", "10ms"]
  static let options = ["--stage-every", "20ms", "--every", "200ms"]
  static let ringBytes = 4096 + (4 << 20)

  @Test(arguments: [0, 4096, 4096 + (2 << 20), 4095 + (4 << 20)]) func aLiveRing(bytes: Int) async throws {
    let expected = try await Undisturbed.shared.digest(Self.length)
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try bench.start(Self.options, Self.command)
    try bench.wait(for: "a staged step") { try bench.status("staged_step") > 0 }
    try #require(truncate(bench.run + "/ring-0", bytes) == 0)
    supervisor.waitUntilExit()
    #expect(
      supervisor.terminationReason == .exit && supervisor.terminationStatus == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == expected)
    #expect(bench.standardError.contains("the ring of attempt 1 was truncated"), "\(bench.standardError)")
    #expect(try bench.attempts().count == 2)
    #expect(bench.standardError.contains("attempt 2 resumed from step"))
  }

  /// After the death of both; and the next ring's memory, with holes.
  @Test(arguments: ["ring-0", "ring-0.new", "arena-0-0", "arena-0-1"], [0, 100, 5000])
  func atRest(name: String, bytes: Int) async throws {
    let expected = try await Undisturbed.shared.digest(Self.length)
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try bench.start(Self.options, Self.command)
    try bench.wait(for: "a staged step") { try bench.status("staged_step") > 0 }
    try bench.killBoth(supervisor)
    truncate(bench.run + "/" + name, bytes)
    if name == "ring-0.new" { truncate(bench.run + "/" + name, Self.ringBytes) }
    #expect(try bench.holdfast(["status", "--state-dir", bench.state]).status == 0)
    #expect(try bench.supervise(Self.options, Self.command) == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == expected)
  }

  /// The trainer makes its slots whole again.
  @Test(arguments: [0, 4096, 60000]) func liveSlots(bytes: Int) async throws {
    let expected = try await Undisturbed.shared.digest(Self.length)
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try bench.start(Self.options, Self.command)
    try bench.wait(for: "a staged step") { try bench.status("staged_step") > 0 }
    let trainer = try #require(bench.trainerPID)
    var step = 0
    // Never the final state: the trainer is stopped while this is checked, however slow the machine is.
    for _ in 0..<20 where step < 100 {
      kill(trainer, SIGSTOP)
      try bench.wait(for: "all of its records") { try bench.isDrained() }
      step = try bench.status("step")
      for slot in 0...1 { truncate("\(bench.run)/arena-0-\(slot)", bytes) }
      kill(trainer, SIGCONT)
      let status = try bench.holdfast(["status", "--state-dir", bench.state])
      #expect(status.status == 0, "\(status.err)")
    }
    supervisor.waitUntilExit()
    #expect(
      supervisor.terminationReason == .exit && supervisor.terminationStatus == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == expected)
  }

  /// That publication fails, the checkpoint before it stays, and the job continues.
  @Test func whileItIsPublished() throws {
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try bench.start(
      ["--stage-every", "200ms", "--every", "500ms"], [Programs.faulty, "large-state"])
    func published() -> Int { bench.standardError.components(separatedBy: "is durable").count - 1 }
    let checkpoints = bench.state + "/checkpoints"
    func isPublishing() -> Bool {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: checkpoints)) ?? []
      return names.contains { $0.hasPrefix(".publishing-") }
    }
    try bench.wait(for: "a durable checkpoint") { published() > 0 }
    try bench.wait(for: "a publication that is cut off") {
      guard isPublishing() else { return false }
      for slot in 0...1 { truncate("\(bench.run)/arena-0-\(slot)", 1 << 20) }
      return bench.standardError.contains("no checkpoint can be made durable")
    }
    let before = published()
    try bench.wait(for: "another one") { published() > before }
    kill(supervisor.processIdentifier, SIGTERM)
    supervisor.waitUntilExit()
    #expect(
      supervisor.terminationReason == .exit && supervisor.terminationStatus == 75, "\(bench.standardError)")
    let verify = try bench.holdfast(["checkpoints", "verify", "--state-dir", bench.state])
    #expect(verify.status == 0, "\(verify)")
  }

  /// A file of the right size without room for its pages.
  @Test(.enabled(if: geteuid() == 0, "root is needed to mount a small tmpfs"))
  func nextRingWithHolesOnFullDisk() throws {
    let bench = Workbench()
    defer { bench.close() }
    let disk = bench.base + "/disk"
    let made = try bench.shell(
      """
      mkdir \(disk) && mount -t tmpfs -o size=6m,mode=700 tmpfs \(disk) && mkdir -m 700 \(disk)/run &&
      truncate -s \(Self.ringBytes) \(disk)/run/ring-0.new && dd if=/dev/zero of=\(disk)/full bs=4k count=1024
      """)
    defer { umount2(disk, Int32(MNT_DETACH)) }
    try #require(made.status == 0, "\(made.err)")
    let result = try bench.holdfast(
      ["run", "--job", "test", "--state-dir", bench.state, "--run-dir", disk + "/run", "--"] + Self.command)
    #expect(result.status == 73 && result.err.contains("no space left in the run directory"), "\(result.err)")
  }

  /// Whatever it makes of the files that it may write to: another job's are as they were.
  @Test func trainerDamagesOnlyItsOwnRun() async throws {
    let expected = try await Undisturbed.shared.digest(Self.length)
    let neighbour = Workbench()
    let bench = Workbench()
    defer {
      neighbour.close()
      bench.close()
    }
    let beside = try neighbour.start(Self.options, Self.command)
    try neighbour.wait(for: "a staged step") { try neighbour.status("staged_step") > 0 }
    let script = try bench.write(
      "harmful",
      """
      #!/bin/bash
      cd $HOLDFAST_RUN_DIR
      for name in ring-0 ring-0.new arena-0-0 arena-0-1 resume.json resume.json.new degraded.json degraded.json.new \\
        snapshot-0.safetensors.new stacks-0 lock; do
        case $((HOLDFAST_ATTEMPT % 4)) in
          0) : > $name ;;
          1) ln -sf \(neighbour.run)/$name $name ;;
          2) rm -rf $name; ln \(neighbour.run)/$name $name || mkfifo $name ;;
          3) rm -rf $name; mkdir $name; ln -s \(neighbour.run) $name/link ;;
        esac
      done 2>/dev/null
      exit 1
      """, executable: true)
    let result = try bench.holdfast(
      [
        "run", "--job", "test", "--state-dir", bench.state, "--run-dir", bench.run, "--max-stalls", "4", "--",
        script,
      ])
    #expect(result.status == 69 || result.status == 73, "\(result.status) \(result.err)")
    #expect(try bench.holdfast(["status", "--state-dir", bench.state]).status != 139)
    beside.waitUntilExit()
    #expect(beside.terminationStatus == 0, "\(neighbour.standardError)")
    #expect(digest(in: neighbour.standardOutput) == expected)
    #expect(try neighbour.attempts().count == 1)
  }
}
