import Testing

@testable import JobFile

/// The message and the place of every kind of problem.
@Suite struct ProblemTests {
  @Test func validFileHasNoProblems() { #expect(problems(complete) == []) }

  static let mistakes: [(String, String)] = [
    ("", "1:1: 'command' is missing; add at the top of the file: command = [\"python3\", \"train.py\"]"),
    (
      "command = \"a b\"",
      "1:11: 'command': must be an array of words; no shell splits it: [\"a\", \"b\"]"
    ),
    ("command = []", "1:11: 'command': must not be empty; write [\"python3\", \"train.py\"]"),
    ("command = [\"\"]", "1:12: 'command': the program's name is empty"),
    ("command = [\n  'a',\n  7 ]", "3:3: 'command': each word must be a string in quotes, not the number 7"),
    ("[command]", "1:1: 'command': must be an array of strings, not a section"),
    (
      "[stop]\ncommand = ['a']",
      "2:1: unknown key 'command' in [stop]; it belongs at the top of the file, before the first [section]"
    ),
    ("x = 1", "1:1: unknown key 'x'; known keys: command, working-directory, environment"),
    ("grace = '5s'", "1:1: unknown key 'grace'; it belongs in [stop]"),
    ("comand = ['a']", "1:1: unknown key 'comand'; did you mean 'command'?"),
    ("max-stall = 4", "1:1: unknown key 'max-stall'; did you mean 'max-stalls' in [restart]?"),
    ("[chekpoint]", "1:2: unknown section [chekpoint]; did you mean [checkpoint]?"),
    (
      "[zzz]",
      "1:2: unknown section [zzz]; known sections: [job], [checkpoint], [remote], [restart], [stop], [hang], [preemption], [metrics], [environment]"
    ),
    (
      "[checkpoint]\nintervall = '10 min'",
      "2:1: unknown key 'intervall' in [checkpoint]; did you mean 'interval'?"
    ),
    (
      "[checkpoint]\nstage_interval = '1s'",
      "2:1: unknown key 'stage_interval' in [checkpoint]; did you mean 'stage-interval'?"
    ),
    ("[checkpoint]\nevery = '1s'", "2:1: unknown key 'every' in [checkpoint]; did you mean 'interval'?"),
    ("[checkpoint]\ngrace = '1s'", "2:1: unknown key 'grace' in [checkpoint]; it belongs in [stop]"),
    (
      "[checkpoint.sub]\nx = 1",
      "1:13: unknown key 'sub' in [checkpoint]; known keys: interval, every-steps, every-epochs, save-on-train-epoch-end, keep-last, keep-best, monitor, mode, keep-every-steps, keep-daily, weights-only, save-last, name, auto-insert-metric-name, dir, enabled, stage-interval, policy, adopt, adopt-marker"
    ),
    (
      "checkpoint.intervall = '1s'", "1:12: unknown key 'intervall' in [checkpoint]; did you mean 'interval'?"
    ),
    (
      "checkpoint = { intervall = '1s' }",
      "1:16: unknown key 'intervall' in [checkpoint]; did you mean 'interval'?"
    ),
    ("checkpoint = '1s'", "1:1: 'checkpoint' is a section: write [checkpoint] and its keys below it"),
    ("[[stop]]\n[[stop]]", "1:3: 'stop' may appear only once: write [stop] and its keys below it"),
    (
      "again = true",
      "1:1: unknown key 'again'; it is not a setting; to start over: holdfast run --again"
    ),
    ("[stop]\ngrace = 25", "2:9: 'grace' in [stop]: 25 has no unit; write \"25s\" or \"25min\""),
    (
      "[stop]\ngrace = true",
      "2:9: 'grace' in [stop]: must be a duration, like \"10min\", not the word true"
    ),
    (
      "[stop]\ngrace = '5x' # c",
      "2:9: 'grace' in [stop]: unknown unit 'x'; use ms, s, min, h or d"
    ),
    ("[stop]\ngrace = '0s'", "2:9: 'grace' in [stop]: must be above 0"),
    ("[stop]\ngrace = '99999999w'", "2:9: 'grace' in [stop]: '99999999w' is longer than ten years"),
    ("[stop]\ngrace = 'auto'", "2:9: 'grace' in [stop]: invalid duration 'auto'; write 90s, 10min or 1h30m"),
    (
      "[hang]\nstep-timeout = 'of'",
      "2:16: 'step-timeout' in [hang]: invalid duration 'of'; did you mean 'off'?"
    ),
    (
      "[hang]\nstep-timeout = 1979-05-27",
      "2:16: invalid TOML: no setting takes a date or time"
    ),
    (
      "[restart]\nmax-stalls = '5'",
      "2:14: 'max-stalls' in [restart]: must be a whole number, not '5'; write 5 without quotes"
    ),
    (
      "[restart]\nmax-stalls = 1.5",
      "2:14: 'max-stalls' in [restart]: must be a whole number, not the number 1.5"
    ),
    ("[restart]\nskip-batch-after = -1", "2:20: 'skip-batch-after' in [restart]: must be above 0"),
    (
      "[job]\nname = 'a b'",
      "2:8: 'name' in [job]: invalid job name 'a b'; use letters, digits, '.', '_', '-'"
    ),
    (
      "[job]\nstate-dir = 's3://bucket/x'",
      "2:13: 'state-dir' in [job]: 's3://bucket/x' is a URL; use a path on this machine"
    ),
    (
      "[job]\nstate-dir = '~/x'",
      "2:13: 'state-dir' in [job]: '~' is not expanded in a file; write the full path"
    ),
    ("working-directory = 5", "1:21: 'working-directory': must be a path in quotes, not the number 5"),
    (
      "[environment]\nA = 1",
      "2:5: 'environment': 'A' must be a string in quotes, not the number 1; write \"1\""
    ),
    (
      "[environment]\nHOLDFAST_X = ''",
      "2:1: 'environment': 'HOLDFAST_X' is set or removed by holdfast itself"
    ),
    ("[environment]\n'A=B' = ''", "2:1: 'environment': invalid variable name 'A=B'"),
    // Syntax.
    ("[stop]\ngrace = '1s'\ngrace = '2s'", "3:1: duplicate 'grace'; first defined on line 2"),
    (
      "[preemption]\nsource = 'azzure'",
      "2:10: 'source' in [preemption]: unknown source of preemption notices 'azzure'; did you mean 'azure'?"
    ),
    ("[preemption]\nsource = true", "2:10: 'source' in [preemption]: must be a word in quotes"),
    (
      "[metrics]\nlisten = ':9400'",
      "2:10: 'listen' in [metrics]: invalid listen address ':9400': no address given; write 9400 "
        + "(loopback only), 192.0.2.7:9400, 0.0.0.0:9400 or [::]:9400"
    ),
    (
      "[metrics]\nlisten = 0",
      "2:10: 'listen' in [metrics]: invalid port 0; use 1 to 65535; write 9400 (loopback only), "
        + "192.0.2.7:9400, 0.0.0.0:9400 or [::]:9400"
    ),
    ("[metrics]\nlisten = true", "2:10: 'listen' in [metrics]: must be a port, or \"ADDRESS:PORT\""),
    ("[metrics]\nfile = ''", "2:8: 'file' in [metrics]: must not be empty"),
    ("[stop]\n[hang]\n[stop]", "3:2: duplicate 'stop'; first defined on line 1"),
    ("[stop]\ngrace = \"1s\n", "2:12: invalid TOML: unterminated string"),
    ("[stop]\ngrace = 1s # c", "2:9: invalid TOML: invalid value '1s'; strings need quotes"),
    ("x = 1 = 2\ny = soon", "1:5: invalid TOML: invalid value '1 = 2'; strings need quotes"),
    ("x 1\ny = soon", "1:3: invalid TOML: expected '=', saw '1'"),
    ("command = [\n1, 07:32\n]", "2:4: invalid TOML: no setting takes a date or time"),
    ("[stop]\ngrace = soon", "2:9: invalid TOML: invalid value 'soon'; strings need quotes"),
    ("[stop", "1:6: invalid TOML: unexpected end of file"),
    ("job.name = 'a'\n[job]", "2:1: invalid TOML: the key 'job' is already a value or a section"),
    ("[ü]", "1:2: invalid TOML: a section name must be letters, digits, '-' and '_', or quoted"),
    ("a = [ }", "1:7: invalid TOML: a value is missing"),
    ("a = ", "1:5: invalid TOML: a value is missing"),
    ("a = 1 1\n[=]", "1:5: invalid TOML: invalid value '1 1'; strings need quotes"),
    ("[[\n]]", "1:3: invalid TOML: "),
    ("command", "1:8: invalid TOML: "),
    ("a\u{0}b", "1:2: control character U+0000 is not allowed"),
    ("# \u{1b}[31m", "1:3: control character U+001B is not allowed"),
    ("command = [\"a\\u0000\"]", "1:14: strings cannot contain U+0000"),
  ]

  @Test(arguments: mistakes) func problemHasMessageAndPlace(text: String, expected: String) {
    let found = problems(text, needsCommand: text.isEmpty)
    #expect(found.count == 1)
    #expect(found.first?.hasPrefix(expected) == true, "\(found)")
  }

  @Test func allProblemsAreReportedInFileOrder() {
    let found = problems("x = 1\n[stop]\ngrace = 1\n[hang]\ny = 2\n")
    #expect(found.map { $0.prefix(4) } == ["1:1:", "1:1:", "3:9:", "5:1:"])
  }

  @Test(arguments: [
    ([0x61, 0xff], 1, 2), ([0x0a, 0xc3], 2, 1), ([0xc3, 0xa4, 0x0a, 0xc3, 0xa4, 0xe2, 0x82], 2, 2),
    ([0xed, 0xa0, 0x80], 1, 1), ([0xef, 0xbb, 0xbf, 0x80], 1, 1),
  ]) func invalidUTF8HasAPlace(bytes: [UInt8], line: Int, column: Int) {
    let found = problems(bytes: bytes)
    #expect(found.map(\.what) == ["invalid UTF-8"])
    #expect(found.first?.place == Place(line: line, column: column))
  }

  @Test func excerptPointsAtTheProblem() {
    let found = problems(bytes: Array("command = ['a']\n[stop]\n\tgrac = 1 \r\n".utf8))
    #expect(found.first?.excerpt == ["3 |  grac = 1 ", "     ^^^^"])
  }

  @Test func excerptOfLongLineIsTruncated() throws {
    let text = "command = ['a', " + String(repeating: "'b', ", count: 5000) + "7]"
    let excerpt = try #require(problems(bytes: Array(text.utf8)).first).excerpt
    #expect(excerpt[0].count < 200)
    let caret = try #require(excerpt[1].firstIndex(of: "^"))
    #expect(excerpt[0][caret] == "7")
  }

  @Test(arguments: ["[", "{ a = ", "a."]) func deepNestingIsReported(piece: String) {
    for text in ["x = ", "[", ""] {
      let count = (JobFile.longest - text.count) / piece.count
      #expect(problems(text + String(repeating: piece, count: count), needsCommand: false).count == 1)
    }
  }

  @Test func excerptContainsNoControlCharacters() {
    let found = problems(bytes: Array("\u{9b}31m = 1".utf8))
    #expect(found.first.map { !$0.line.unicodeScalars.contains("\u{9b}") } == true)
  }
}
