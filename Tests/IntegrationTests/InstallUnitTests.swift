import Foundation
import Testing

/// `install-unit`, with a user's own directories and a systemctl that only records its arguments.
@Suite struct InstallUnitTests {
  private let bench = Workbench()
  private var home: String { bench.base + "/config" }

  private func install(_ arguments: [String]) throws -> (status: Int32, out: String, err: String) {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    return try bench.holdfast(
      ["install-unit"] + arguments,
      environment: ["XDG_CONFIG_HOME": home, "PATH": bench.base + "/bin:" + path])
  }

  private func text(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }

  @Test func writtenFileRuns() throws {
    defer { bench.close() }
    let result = try install([
      "job1", "--user", "--every", "90s", "--state-dir", bench.state, "--run-dir", bench.run, "--", "sh",
      "-c",
      "echo \"it's $0\"",
    ])
    #expect(result.status == 0 && result.out.isEmpty, "\(result.err)")
    #expect(result.err.contains("wrote \(home)/holdfast/job1.toml\n"))
    #expect(result.err.contains("systemctl --user enable --now holdfast@job1.service"))
    let written = text(home + "/holdfast/job1.toml")
    #expect(written.contains("command = [\"/"), "the program is found now: \(written)")
    #expect(written.contains("interval = \"1min30s\"\n"))
    let run = try bench.holdfast(["run", "--config", "job1"], environment: ["XDG_CONFIG_HOME": home])
    #expect(run.status == 0 && run.out.hasPrefix("it's /"), "\(run)")
  }

  @Test func nothingIsOverwrittenWithoutForce() throws {
    defer { bench.close() }
    let file = home + "/holdfast/job.toml"
    let dry = try install(["job", "--user", "--dry-run", "--", "true"])
    #expect(dry.status == 0 && dry.out.contains("command = [\"") && dry.err.contains("would write \(file)"))
    #expect(!FileManager.default.fileExists(atPath: home))
    #expect(try install(["job", "--user", "--", "true"]).status == 0)
    let first = text(file)
    let second = try install(["job", "--user", "--", "false"])
    #expect(second.status == 73 && text(file) == first && second.err.contains("--force"))
    #expect(try install(["job", "--user", "--force", "--", "false"]).status == 0)
    #expect(text(file) != first)
  }

  @Test func fileElsewhereIsLinkedAndEnabled() throws {
    defer { bench.close() }
    try FileManager.default.createDirectory(atPath: bench.base + "/bin", withIntermediateDirectories: true)
    _ = try bench.write("bin/systemctl", "#!/bin/sh\necho \"$@\" >>\(bench.base)/told\n", executable: true)
    let file = bench.base + "/mine.toml"
    let result = try install(["job", "--user", "--config", file, "--enable", "--", "true"])
    #expect(result.status == 0, "\(result.err)")
    #expect(text(bench.base + "/told") == "--user daemon-reload\n--user enable --now holdfast@job.service\n")
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: home + "/holdfast/job.toml") == file)
    #expect(text(file).contains("name = \"job\""), "it is not the file that names it")
    // Without a command, what is there is taken as it is.
    #expect(try install(["job", "--user", "--config", file]).status == 0)
    try "command = 5".write(toFile: file, atomically: true, encoding: .utf8)
    #expect(try install(["job", "--user", "--config", file]).status == 78)
    let other = try install(["job", "--user", "--config", bench.base + "/other.toml", "--", "true"])
    #expect(other.status == 73 && other.err.contains("already has another configuration file"))
  }

  @Test func systemctlFailureIsReported() throws {
    defer { bench.close() }
    try FileManager.default.createDirectory(atPath: bench.base + "/bin", withIntermediateDirectories: true)
    _ = try bench.write("bin/systemctl", "#!/bin/sh\nexit 5\n", executable: true)
    let result = try install(["job", "--user", "--enable", "--", "true"])
    #expect(result.status == 69 && result.err.contains("why: exit 5"), "\(result.err)")
  }

  @Test(arguments: [["a b", "--", "true"], ["j", "--every", "5s"], ["j", "--force"]]) func misuseIsRejected(
    arguments: [String]
  ) throws {
    defer { bench.close() }
    #expect(try install(["--user"] + arguments).status == 64)
    #expect(!FileManager.default.fileExists(atPath: home))
  }
}
