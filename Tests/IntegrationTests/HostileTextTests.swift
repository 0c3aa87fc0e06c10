import Foundation
import Testing

/// Exceptions, names, command lines and notices that a terminal would obey, or that would look like lines of ours,
/// through the real commands.
@Suite struct HostileTextTests {
  /// As the faulty trainer has it.
  static let text = "x\u{1b}[2J\u{9b}31m\u{7}\u{202e}\u{2066}\u{2028}\u{0}\r\n  Degraded: forged\n\tz"
  static let visible = "x\\x1b[2J\\u009b31m\\x07\\u202e\\u2066\\u2028\\x00\\r\\n  Degraded: forged\\n\\tz"
  /// What can be an argument or a file's name.
  static let word = "a b\u{1b}]0;x\u{7}\u{202e}'$(reboot)\n    Degraded: forged"

  private func expectHarmless(_ text: String, _ what: String) {
    let hidden = text.unicodeScalars.filter { scalar in
      scalar != "\n"
        && (scalar.properties.generalCategory == .control || scalar.properties.generalCategory == .format
          || scalar == "\u{2028}" || scalar == "\u{2029}")
    }
    #expect(hidden.isEmpty, "\(what): \(hidden.map(\.value))")
    // A traceback keeps its lines, and is indented.
    let forged = text.split(separator: "\n").filter { $0.hasPrefix("  Degraded: forged") }
    #expect(forged.isEmpty, "\(what): \(forged)")
  }

  @Test func hostileTextDoesNotReachTerminal() throws {
    let bench = Workbench()
    defer { bench.close() }
    let notice = try bench.write(
      "notice",
      "#!/bin/bash\nprintf 'rebalance \\e[2J\\xc2\\x9b\\xe2\\x80\\xae\\xff text\\n'; exec sleep 1000\n",
      executable: true)
    let metrics = bench.base + "/job.prom"
    let options = ["--max-stalls", "2", "--preemption", "command:\(notice)", "--metrics-file", metrics]
    #expect(try bench.supervise(options, [Programs.faulty, "absurd-text", Self.word]) == 69)
    expectHarmless(bench.standardError, "standard error of run")
    #expect(bench.standardError.contains("E\(Self.visible): \(Self.visible)"), "\(bench.standardError)")
    try expectHarmless(String(contentsOfFile: metrics, encoding: .utf8), "metrics")
    let commands = [
      ["status"], ["history"], ["history", "--attempt", "1"], ["events"], ["snapshots"],
      ["snapshots", "--step", "1"], ["checkpoints", "list"],
      ["status", "--watch"],
    ]
    for command in commands {
      let shown = try bench.holdfast(
        command + ["--state-dir", bench.state], environment: ["LC_ALL": "C.UTF-8"])
      expectHarmless(shown.out + shown.err, command.joined(separator: " "))
      let json = try bench.holdfast(command + ["--state-dir", bench.state, "--json"])
      expectHarmless(json.out + json.err, "\(command) --json")
    }
    // On a terminal the only escape codes are holdfast's own.
    let screen = try bench.terminal(
      "timeout 2 \(Programs.holdfast) status --watch --state-dir \(bench.state)"
    ).out
    #expect(screen.contains("\u{1b}[H") && screen.contains("\\x1b[2J"), "\(screen)")
    for code in ["\u{1b}[2J", "\u{9b}", "\u{202e}", "\u{7}", "\u{1b}]"] { #expect(!screen.contains(code)) }
    // The command can be pasted, and JSON has the exact text.
    let status = try bench.holdfast(["status", "--state-dir", bench.state])
    #expect(
      status.out.contains("absurd-text $'a b\\x1b]0;x\\x07\\u202e\\'$(reboot)\\n    Degraded: forged'"),
      "\(status.out)")
    let attempt = try #require(try bench.attempts().first)
    let failure = try #require(attempt["failure"] as? [String: Any])
    #expect(failure["type"] as? String == "E" + Self.text && failure["message"] as? String == Self.text)
    #expect(failure["traceback"] as? String == "T" + Self.text)
    // Each line of a traceback is indented.
    let details = try bench.holdfast(["history", "--attempt", "1", "--state-dir", bench.state]).out
    #expect(
      details.contains("\n  Tx\\x1b") && details.contains("\n    Degraded: forged\n  \\tz\n"), "\(details)")
  }

  /// Names of checkpoints are names of directories, which others may have made; and paths go into hints.
  @Test func hostileFileNamesAreEscaped() throws {
    let bench = Workbench()
    defer { bench.close() }
    let state = bench.base + "/" + Self.word
    let place = ["--state-dir", state, "--run-dir", bench.run]
    let run = try bench.holdfast(["run"] + place + ["--", Programs.trainer, "--epochs", "1"])
    try #require(run.status == 0, "\(run.err)")
    let checkpoints = state + "/checkpoints"
    let name = try #require(try FileManager.default.contentsOfDirectory(atPath: checkpoints).first)
    try FileManager.default.copyItem(atPath: "\(checkpoints)/\(name)", toPath: "\(checkpoints)/\(Self.word)")
    try Workbench.flipBit(of: "\(checkpoints)/\(name)/state.safetensors", at: 5000)
    for command in [
      ["list"], ["verify"], ["show", "digits-trainer", Self.word], ["show", "no\u{1b}such\ncheckpoint"],
    ] {
      for json in [[], ["--json"]] {
        let shown = try bench.holdfast(["checkpoints"] + command + ["--state-dir", state] + json)
        expectHarmless(shown.out + shown.err, "\(command) \(json)")
      }
    }
    let verified = try bench.holdfast(["checkpoints", "verify", "--state-dir", state])
    #expect(verified.status == 65)
    let quoted = "--state-dir $'\(bench.base)/a b\\x1b]0;x\\x07\\u202e\\'$(reboot)\\n    Degraded: forged'"
    #expect(verified.err.contains("hint: holdfast checkpoints list \(quoted)"), "\(verified.err)")
    let file = try bench.write("job.toml", "command = ['\u{9b}2J\u{202e}']\n\"\u{202e}key\u{9b}\" = 1\n")
    for command in [["check", file], ["show", "--config", file], ["check", file, "--json"]] {
      let shown = try bench.holdfast(["config"] + command)
      expectHarmless(shown.out + shown.err, "config \(command)")
    }
    let missing = try bench.holdfast(["status", Self.word])
    expectHarmless(missing.err, "no such job")
    let program = try bench.holdfast([
      "run", "--state-dir", bench.base + "/other", "--", "./no \u{1b}\nprogram",
    ])
    expectHarmless(program.err, "no such program")
  }
}
