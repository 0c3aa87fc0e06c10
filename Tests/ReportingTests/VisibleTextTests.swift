import Foundation
import Reporting
import SystemPackage
import Testing

/// Untrusted text on a terminal.
@Suite struct VisibleTextTests {
  @Test(arguments: [
    ("plain", "plain"), ("é 世界 🙂", "é 世界 🙂"), ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
    ("\u{1b}[31mred\u{7}\u{0}", "\\x1b[31mred\\x07\\x00"), ("\u{7f}", "\\x7f"),
    ("\u{9b}2J", "\\u009b2J"), ("a\u{202e}b\u{2066}c", "a\\u202eb\\u2066c"),
    ("\u{2028}\u{2029}\u{85}", "\\u2028\\u2029\\u0085"), ("\u{feff}\u{200b}\u{ad}", "\\ufeff\\u200b\\u00ad"),
    ("\u{e0041}", "\\U000e0041"), ("C:\\n", "C:\\n"), ("\r\n", "\\r\\n"),
  ]) func controlCharactersAreEscaped(text: String, visible: String) {
    #expect(VisibleText.line(text) == visible)
    #expect(VisibleText.line(visible) == visible, "idempotent")
  }

  @Test func linesAreSplit() {
    #expect(VisibleText.lines("a\n\u{1b}b\r\nc\u{2028}d\n") == ["a", "\\x1bb", "c\\u2028d", ""])
    #expect(VisibleText.lines("") == [""])
  }

  @Test(arguments: [
    ("plain-1.0/x", "plain-1.0/x"), ("", "''"), ("a b", "'a b'"), ("it's", "'it'\\''s'"),
    ("$(reboot)", "'$(reboot)'"),
    ("a\nreboot\n", "$'a\\nreboot\\n'"), ("'\u{1b}\\", "$'\\'\\x1b\\\\'"), ("`x`;#", "'`x`;#'"), ("~", "'~'"),
  ]) func hintQuotesInterpolatedWords(word: String, quoted: String) {
    let hint: Hint = "ls -l \(word)  what is it?"
    #expect(hint.text == "ls -l \(quoted)  what is it?")
    let path: Hint = "ls \(FilePath("/a b"))/x \(7) \(hint) \(words: "one of")"
    #expect(path.text == "ls '/a b'/x 7 \(hint.text) one of")
  }

  /// bash reads the words back unchanged and executes nothing.
  @Test func quotedWordsSurviveAShell() throws {
    let words = [
      "a b", "'\"", "$(touch /tmp/x)\n; rm -rf x", "\u{1b}[2J\u{9b}\u{202e}", "é\\n\t", "\u{e0041}",
    ]
    let command = Hint(command: ["printf", "%s\\0"] + words)
    #expect(!command.text.contains("\n"))
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/bash")
    process.arguments = ["-c", command.text]
    process.environment = ["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(text.split(separator: "\0").map(String.init) == words)
  }
}
