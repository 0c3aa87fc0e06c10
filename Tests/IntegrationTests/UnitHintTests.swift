import Foundation
import Testing

/// A supervisor in the cgroup of a unit, as systemd starts it: hints name the unit.
@Suite struct UnitHintTests {
  /// `holdfast@job.service` below a cgroup of this test's own; nil if it cannot be created.
  private final class Unit {
    let path: String
    private let parent: String

    init?() {
      for root in ["/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup"] {
        let parent = "\(root)/holdfast-test-\(UUID().uuidString)"
        let path = parent + "/holdfast@job.service"
        guard FileManager.default.fileExists(atPath: root + "/cgroup.procs"), mkdir(parent, 0o755) == 0
        else { continue }
        if mkdir(path, 0o755) == 0 {
          (self.path, self.parent) = (path, parent)
          return
        }
        rmdir(parent)
      }
      return nil
    }

    deinit {
      // What has ended takes a moment to leave.
      for _ in 0..<200 {
        if rmdir(path) == 0 { break }
        usleep(10_000)
      }
      rmdir(parent)
    }
  }

  private static let isPossible = Unit() != nil

  /// - Parameter isStarted: whether systemd started the supervisor itself, not a shell in the unit.
  private func giveUp(isStarted: Bool) throws -> String {
    let bench = Workbench()
    defer { bench.close() }
    let unit = try #require(Unit())
    let mark = isStarted ? "export SYSTEMD_EXEC_PID=$$; " : "unset SYSTEMD_EXEC_PID; "
    let supervisor = try bench.start(program: [
      "/bin/bash", "-c", "\(mark)echo $$ >\(unit.path)/cgroup.procs && exec \"$@\"", "bash",
      Programs.holdfast,
      "run", "--state-dir", bench.state, "--run-dir", bench.run, "--max-stalls", "1", "--", "false",
    ])
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 69)
    return bench.standardError
  }

  @Test(.enabled(if: isPossible, "needs cgroups that we may make")) func hintStartsTheUnit() throws {
    let text = try giveUp(isStarted: true)
    #expect(
      text.contains(
        "systemctl reset-failed holdfast@job.service; systemctl start holdfast@job.service  try again"),
      "\(text)")
    #expect(!text.contains("holdfast run"), "\(text)")
  }

  @Test(.enabled(if: isPossible, "needs cgroups that we may make")) func runningUnitIsStoppedBySystemctl()
    throws
  {
    let unit = try #require(Unit())
    let bench = Workbench()
    defer { bench.close() }
    let options = ["run", "--state-dir", bench.state, "--run-dir", bench.run, "--"]
    let trainer = [Programs.trainer, "--epochs", "3000", "--step-delay", "20ms"]
    let supervisor = try bench.start(
      program: [
        "/bin/bash", "-c", "echo $$ >\(unit.path)/cgroup.procs && exec \"$@\"", "bash", Programs.holdfast,
      ] + options + trainer)
    try bench.wait(for: "a step") { try bench.status("step") > 0 }
    let second = try bench.holdfast(options + trainer)
    #expect(second.status == 73)
    #expect(second.err.contains("systemctl stop holdfast@job.service  save, and stop it"), "\(second.err)")
    let list = try bench.holdfast(["list"]).out.split(separator: "\n").filter { $0.contains(bench.state) }
    #expect(list.isEmpty, "it is shown with its unit")
    kill(supervisor.processIdentifier, SIGTERM)
    supervisor.waitUntilExit()
  }

  @Test(.enabled(if: isPossible, "needs cgroups that we may make")) func shellInAServiceIsNotTheUnit() throws
  {
    #expect(try giveUp(isStarted: false).contains(#/holdfast run .* try again/#))
  }
}
