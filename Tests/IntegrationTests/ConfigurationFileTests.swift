import Foundation
import Testing

/// Jobs that are described by a file.
@Suite struct ConfigurationFileTests {
  static let length = ["--epochs", "3"]

  static func command(_ arguments: [String]) -> String {
    "command = [" + ([Programs.trainer] + arguments).map { "\"\($0)\"" }.joined(separator: ", ") + "]\n"
  }

  @Test func fileConfiguresWholeJob() async throws {
    let expected = try await Undisturbed.shared.digest(Self.length)
    let bench = Workbench()
    defer { bench.close() }
    try FileManager.default.createDirectory(atPath: bench.base + "/there", withIntermediateDirectories: true)
    let file = try bench.write(
      "resnet50.toml",
      """
      command = ["/bin/sh", "-c", 'pwd; echo "$GREETING"; exec "$0" --epochs 3', "\(Programs.trainer)"]
      working-directory = "there"
      [job]
      state-dir = "state"
      run-dir = "\(bench.run)"
      [environment]
      GREETING = "hello"
      """)
    let run = try bench.holdfast(["run", "--config", file])
    #expect(run.status == 0, "\(run.err)")
    #expect(digest(in: run.out) == expected)
    #expect(run.out.hasPrefix(bench.base + "/there\nhello\n"), "\(run.out)")
    #expect(try bench.json(["status"])["job"] as? String == "resnet50", "named after its file")
  }

  @Test func invalidFileStartsNothing() throws {
    let bench = Workbench()
    defer { bench.close() }
    let file = try bench.write(
      "wrong.toml", Self.command(Self.length) + "[checkpoint]\nintervall = \"10 min\"\n[stop]\ngrace = 5\n")
    for command in ["run --config", "config check", "config show --config"] {
      let result = try bench.holdfast(
        command.split(separator: " ").map(String.init) + [file],
        environment: ["XDG_STATE_HOME": bench.base + "/x"])
      #expect(result.status == 78 && result.out.isEmpty, "\(command)")
      #expect(
        result.err == """
          error: unknown key 'intervall' in [checkpoint]; did you mean 'interval'?
           where: \(file):3:1
                  3 | intervall = "10 min"
                      ^^^^^^^^^
          error: 'grace' in [stop]: 5 has no unit; write "5s" or "5min"
           where: \(file):5:9
                  5 | grace = 5
                              ^
            hint: nothing was started; check again: holdfast config check \(file)
          (exit 78)

          """)
    }
    #expect(!FileManager.default.fileExists(atPath: bench.base + "/x"))
    let json = try bench.holdfast(["config", "check", file, "--json"])
    let document = try #require(try JSONSerialization.jsonObject(with: Data(json.err.utf8)) as? [String: Any])
    #expect((document["problems"] as? [[String: Any]])?.map { $0["line"] as? Int } == [3, 5])
  }

  @Test func unreadableFileIsReported() throws {
    let bench = Workbench()
    defer { bench.close() }
    let missing = try bench.holdfast(["run", "--config", bench.base + "/none.toml"])
    #expect(missing.status == 66 && missing.err.contains("configuration file not found"))
    let directory = try bench.holdfast(["config", "check", bench.base + "/"])
    #expect(directory.status == 78 && directory.err.contains("it is a directory"), "\(directory.err)")
    #expect(mkfifo(bench.base + "/pipe.toml", 0o600) == 0)
    let pipe = try bench.holdfast(["config", "check", bench.base + "/pipe.toml"])
    #expect(pipe.status == 78 && pipe.err.contains("it is a named pipe"), "a pipe is not waited for")
    let empty = try bench.holdfast(["config", "check", try bench.write("empty.toml", "")])
    #expect(empty.status == 78 && empty.err.contains("'command' is missing"))
  }

  @Test(.enabled(if: geteuid() == 0, "only root becomes another user")) func fileOfAnotherUserIsRejected()
    throws
  {
    let bench = Workbench()
    defer { bench.close() }
    let file = try bench.write("job.toml", Self.command(Self.length))
    chmod(file, 0o600)
    chmod(bench.base, 0o755)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/setpriv")
    process.arguments = [
      "--reuid", "65534", "--clear-groups", Programs.holdfast, "run", "--config", file,
    ]
    let err = Pipe()
    process.standardError = err
    try process.run()
    let text = String(decoding: err.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 78)
    #expect(text.contains(" where: \(file)\n   why: Permission denied"), "\(text)")
  }

  @Test func showReportsSourceOfEachValue() throws {
    let bench = Workbench()
    defer { bench.close() }
    let file = try bench.write("job.toml", Self.command(Self.length) + "[checkpoint]\ninterval = \"5min\"\n")
    let arguments = ["config", "show", "--config", file, "--grace", "9s"]
    let text = try bench.holdfast(arguments + ["--origin"], environment: ["STATE_DIRECTORY": "/var/lib/x"])
      .out
    for expected in [
      "checkpoint.interval +\"5min\" +\(file):3", "stop.grace +\"9s\" +command line, --grace",
      "restart.max-stalls +5 +default", "job.state-dir +\"/var/lib/x\" +environment, STATE_DIRECTORY",
    ] {
      #expect(
        text.range(of: "(?m)^\(expected)$", options: .regularExpression) != nil, "\(expected) in\n\(text)")
    }
    let shown = try bench.holdfast(arguments + ["--json"]).out
    let document = try #require(try JSONSerialization.jsonObject(with: Data(shown.utf8)) as? [String: Any])
    let settings = try #require(document["settings"] as? [[String: Any]])
    let grace = try #require(settings.first { $0["key"] as? String == "stop.grace" })
    #expect(grace["origin"] as? String == "command_line" && grace["value"] as? String == "9s")
  }

  @Test func reloadChangesRunningJob() throws {
    let bench = Workbench()
    defer { bench.close() }
    let slow = Self.command(["--epochs", "2000", "--step-delay", "5ms"])
    let file = try bench.write("job.toml", slow + "[checkpoint]\ninterval = \"1d\"\n")
    let supervisor = try bench.start(["--config", file, "--max-stalls", "4"], [])
    try bench.wait(for: "a few steps") { try bench.status("step") > 20 }
    #expect(try bench.status("durable_step") == 0)
    func reload(_ text: String, expecting line: String) throws {
      try text.write(toFile: file, atomically: true, encoding: .utf8)
      kill(supervisor.processIdentifier, SIGHUP)
      try bench.wait(for: line) { bench.standardError.contains(line) }
    }
    try reload(
      slow + "[checkpoint]\nintervall = 1\n",
      expecting: "job.toml:3:1: unknown key 'intervall' in [checkpoint]")
    #expect(bench.standardError.contains("previous configuration kept"))
    #expect(try bench.status("durable_step") == 0)
    let fast =
      "[checkpoint]\ninterval = \"100ms\"\n[restart]\nmax-stalls = 9\n[environment]\nA = \"secret\"\n"
    try reload(slow + fast, expecting: "checkpoint.interval is now \"100ms\", was \"1d\"")
    #expect(bench.standardError.contains("environment changed; takes effect at the next start"))
    #expect(!bench.standardError.contains("secret"))
    #expect(!bench.standardError.contains("max-stalls"), "the command line wins over the file")
    try bench.wait(for: "a durable checkpoint") { try bench.status("durable_step") > 0 }
    try reload(slow + fast, expecting: "nothing changed")
    #expect(supervisor.isRunning)
    kill(supervisor.processIdentifier, SIGTERM)
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 75)
    let kinds = try bench.holdfast(["events", "--state-dir", bench.state, "--json"]).out
    #expect(kinds.contains("\"reload_refused\"") && kinds.contains("\"reloaded\""))
  }
}
