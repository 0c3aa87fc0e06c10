import Foundation
import Testing

/// Under systemd with `Delegate=yes` the trainer has a cgroup of its own: whatever it leaves behind is
/// in it, however it hides. Here the test is what systemd would be.
@Suite struct DelegatedCgroupTests {
  /// A delegated cgroup of version 2; nil if it cannot be created.
  private final class Delegated {
    let path: String
    private static let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]

    // Foundation has no setxattr(2).
    private static let mark = "import os, sys; os.setxattr(sys.argv[1], 'user.delegate', b'1')"

    init?() {
      // Only version 2 has `cgroup.kill`, and not at its root.
      for root in Self.roots {
        let path = "\(root)/holdfast-test-\(UUID().uuidString)"
        guard mkdir(path, 0o755) == 0 else { continue }
        let isMarked =
          (try? Workbench.run("/usr/bin/env", ["python3", "-c", Self.mark, path]))?.status == 0
        if isMarked, FileManager.default.fileExists(atPath: path + "/cgroup.kill") {
          self.path = path
          return
        }
        rmdir(path)
      }
      return nil
    }

    deinit {
      try? "1".write(toFile: path + "/cgroup.kill", atomically: false, encoding: .utf8)
      let below = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
      // What was killed takes a moment to leave.
      for _ in 0..<200 {
        for name in below { rmdir("\(path)/\(name)") }
        if rmdir(path) == 0 { return }
        usleep(10_000)
      }
    }

    /// The command that runs in it.
    func entering(_ command: [String]) -> [String] {
      ["/bin/bash", "-c", "echo $$ > \(path)/cgroup.procs && exec \"$@\"", "bash"] + command
    }
  }

  private static let isPossible = Delegated() != nil
  private static let need: Comment = "needs a cgroup of version 2 that we may make: root, and cgroup2 mounted"

  private func start(_ bench: Workbench, _ cgroup: Delegated, _ command: [String]) throws -> Process {
    let options = ["run", "--job", "test", "--state-dir", bench.state, "--run-dir", bench.run]
    return try bench.start(program: cgroup.entering([Programs.holdfast] + options + ["--"] + command))
  }

  private func cgroup(of pid: Int32) throws -> String {
    let text = try String(contentsOfFile: "/proc/\(pid)/cgroup", encoding: .utf8)
    return try #require(
      text.split(separator: "\n").last { $0.hasPrefix("0::") }.map { String($0.dropFirst(3)) })
  }

  @Test(.enabled(if: isPossible, need)) func trainerHasOwnCgroupThatIsEmptied() throws {
    let cgroup = try #require(Delegated())
    let bench = Workbench()
    defer { bench.close() }
    // A worker in its own session, without holdfast's variables in its environment.
    let script = try bench.write(
      "forks",
      """
      #!/bin/bash
      env -i setsid sleep 1000 &
      while [ ! -e \(bench.base)/go ]; do sleep 0.05; done
      """, executable: true)
    let supervisor = try start(bench, cgroup, [script])
    try bench.wait(for: "the trainer") { bench.trainerPID != nil }
    let trainer = try #require(bench.trainerPID)
    try bench.wait(for: "exec") {
      try self.cgroup(of: trainer) != self.cgroup(of: supervisor.processIdentifier)
    }
    let theirs = try self.cgroup(of: trainer)
    let name = try #require(cgroup.path.split(separator: "/").last)
    #expect(theirs.contains("/\(name)/"), "\(theirs) is below the delegated one")
    let procs = "\(cgroup.path)/\(try #require(theirs.split(separator: "/").last))/cgroup.procs"
    func members() throws -> Int {
      try String(contentsOfFile: procs, encoding: .utf8).split(separator: "\n").count
    }
    try bench.wait(for: "the worker") { try members() >= 2 }
    _ = try bench.write("go", "")
    try bench.wait(for: "the end") { !supervisor.isRunning }
    #expect(supervisor.terminationStatus == 0, "\(bench.standardError)")
    #expect(try members() == 0, "nothing outlives the attempt")
  }

  /// Nobody is left to reap what the trainer forked; the next supervisor finds it in the cgroup alone.
  @Test(.enabled(if: isPossible, need)) func leftoversOfKilledSupervisorAreKilledBeforeNextAttempt() throws {
    let cgroup = try #require(Delegated())
    let bench = Workbench()
    defer { bench.close() }
    let script = try bench.write(
      "forks",
      """
      #!/bin/bash
      if [ -e \(bench.base)/worker ]; then
        grep -q sleep /proc/$(cat \(bench.base)/worker)/cmdline 2>/dev/null && exit 9
        exit 0
      fi
      env -i setsid sleep 1000 &
      echo $! > \(bench.base)/new && mv \(bench.base)/new \(bench.base)/worker
      sleep 1000
      """, executable: true)
    let first = try start(bench, cgroup, [script])
    try bench.wait(for: "the worker") { FileManager.default.fileExists(atPath: bench.base + "/worker") }
    kill(first.processIdentifier, SIGKILL)
    first.waitUntilExit()
    let second = try start(bench, cgroup, [script])
    try bench.wait(for: "the end") { !second.isRunning }
    #expect(second.terminationStatus == 0, "\(bench.standardError)")
    let statuses = try bench.attempts().map { $0["exit_status"] as? Int }
    #expect(statuses == [nil, 0], "9: a worker of the first attempt was still alive")
  }
}
