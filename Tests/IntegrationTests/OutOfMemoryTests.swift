import Foundation
import Testing

/// A trainer that needs more memory than its cgroup allows is killed by the kernel, which is reported.
@Suite struct OutOfMemoryTests {
  /// A cgroup of either version with a memory limit; nil if it cannot be created.
  private final class LimitedCgroup {
    let path: String

    init?() {
      let name = "holdfast-test-\(UUID().uuidString)"
      let limit = "\(100 << 20)"
      for (root, file) in [
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max"),
      ] {
        let path = "\(root)/\(name)"
        guard mkdir(path, 0o755) == 0 else { continue }
        if (try? limit.write(toFile: "\(path)/\(file)", atomically: false, encoding: .utf8)) != nil {
          // With swap the limit would not be reached.
          try? "0".write(toFile: "\(path)/memory.swap.max", atomically: false, encoding: .utf8)
          self.path = path
          return
        }
        rmdir(path)
      }
      return nil
    }

    deinit { rmdir(path) }
  }

  private static let isPossible = LimitedCgroup() != nil

  @Test(.enabled(if: isPossible, "needs a memory cgroup of its own: root, and a kernel with that controller"))
  func outOfMemoryIsTheCause() throws {
    let cgroup = try #require(LimitedCgroup())
    let bench = Workbench()
    defer { bench.close() }
    // Into the cgroup, then on as the supervisor. Its first trainer takes all memory; the second is content.
    let trainer = try bench.write(
      "hungry",
      """
      #!/bin/bash
      [ -e \(bench.base)/fed ] && exit 0
      touch \(bench.base)/fed
      exec tail /dev/zero
      """, executable: true)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = [
      "-c", "echo $$ > \(cgroup.path)/cgroup.procs && exec \"$@\"", "sh", Programs.holdfast, "run", "--job",
      "test",
      "--state-dir", bench.state, "--run-dir", bench.run, "--", trainer,
    ]
    process.standardError = FileHandle.nullDevice
    try process.run()
    try bench.wait(for: "the end") { !process.isRunning }
    #expect(process.terminationStatus == 0)
    let first = try #require(try bench.attempts().first)
    #expect(first["cause"] as? String == "oom_killed" && first["signal"] as? Int == 9, "\(first)")
    #expect(first["oom_kills"] as? Int == 1)
    let history = try bench.holdfast(["history", "--state-dir", bench.state]).out
    #expect(
      history.range(of: #"OOM-killed: SIGKILL, peak \d+(\.\d)? MiB"#, options: .regularExpression) != nil,
      "\(history)")
  }

  @Test(.enabled(if: isPossible, "needs a memory cgroup of its own: root, and a kernel with that controller"))
  func killByUserIsNotOutOfMemory() throws {
    let cgroup = try #require(LimitedCgroup())
    let bench = Workbench()
    defer { bench.close() }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = [
      "-c", "echo $$ > \(cgroup.path)/cgroup.procs && exec \"$@\"", "sh", Programs.holdfast, "run", "--job",
      "test",
      "--state-dir", bench.state, "--run-dir", bench.run, "--max-stalls", "1", "--", "sh", "-c", "kill -9 $$",
    ]
    process.standardError = FileHandle.nullDevice
    try process.run()
    try bench.wait(for: "the end") { !process.isRunning }
    #expect(process.terminationStatus == 69)
    let first = try #require(try bench.attempts().first)
    #expect(first["cause"] as? String == "killed" && first["oom_kills"] as? Int == 0, "\(first)")
  }
}
