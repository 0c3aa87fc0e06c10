import JobFile
import Reporting
import Supervisor
import SystemPackage
import Testing

@testable import HoldfastCLI

@Suite struct TextTests {
  @Test(arguments: [
    ("90s", Duration.seconds(90)), ("10min", .seconds(600)), ("1h30m", .seconds(5400)),
    ("500ms", .milliseconds(500)),
    ("2d", .seconds(172_800)), ("1.5h", .seconds(5400)), ("1h 30min", .seconds(5400)),
    ("10 min", .seconds(600)),
  ]) func durationsAreParsed(text: String, expected: Duration) throws {
    #expect(try DurationText.parse(text) == expected)
  }

  @Test(arguments: ["", "90", "s", "1x", "-5s", "1h30", "1..5s", "ten"]) func invalidDurationsAreRejected(
    text: String
  ) {
    #expect(throws: DurationText.Mistake.self) { try DurationText.parse(text) }
  }

  @Test func durationsHaveAtMostTwoUnits() {
    let texts = [0.012, 1.94, 12.4, 200, 10_020, 280_000].map { Words.duration(seconds: $0) }
    #expect(texts == ["12 ms", "1.9 s", "12 s", "3 min 20 s", "2 h 47 min", "3 d 5 h"])
  }

  @Test func numbersAndSizesAreFormatted() {
    #expect([0, 999, 48_700, 1_000_005].map { Words.number($0) } == ["0", "999", "48,700", "1,000,005"])
    #expect([0, 1023, 1536, 536_870_912].map { Words.bytes($0) } == ["0 B", "1023 B", "1.5 KiB", "512 MiB"])
    #expect(
      [1.8341, 0.05, 123.456, 1e-9].map { Words.metric($0) } == ["1.834", "0.0500", "123.5", "1.000e-9"])
    #expect(Words.metric(.nan) == "nan")
  }

  @Test func jsonQuotesNaNAndEscapesControlCharacters() {
    let value = JSONValue.object([
      "b": .real(.nan), "a": .array([.real(-.infinity), .null, .bool(true), .integer(-3)]),
      "c": .string("a\"\n\u{1b}ü"),
    ])
    #expect(value.text() == "{\"a\":[\"-Infinity\",null,true,-3],\"b\":\"NaN\",\"c\":\"a\\\"\\n\\u001bü\"}")
  }

  @Test func tablesAreNotTruncated() {
    let lines = TextTable.lines([["#", "NAME", "X"], ["10", "a long name", "y"]], right: [0])
    #expect(lines == [" #  NAME         X", "10  a long name  y"])
  }

  @Test(arguments: [
    ("statsu", "status"), ("histroy", "history"), ("chekpoint", "checkpoint"), ("frobnicate", nil), ("", nil),
  ]) func suggestionsAreClose(word: String, expected: String?) {
    let known = ["run", "status", "history", "events", "checkpoints", "stop", "checkpoint"]
    #expect(Suggestions.nearest(to: word, among: known) == expected)
  }

  @Test func jobNameIsThatOfTheCommand() {
    #expect(Locations.jobName(["/opt/bin/digits-trainer", "--epochs", "3"]) == "digits-trainer")
    #expect(Locations.jobName(["python3.11", "-u", "src/train.py"]) == "train")
    #expect(Locations.jobName(["bash", "-c", "echo hello world"]) == "bash")
    #expect(Locations.jobName(["./my train.sh"]) == "my-train")
  }

  @Test func directoriesFollowTheEnvironment() {
    func locations(_ environment: [String: String]) -> Locations {
      Locations(environment: environment, workingDirectory: "/work", userID: 7)
    }
    let home = locations(["HOME": "/home/u"])
    #expect(home.state(job: "j", option: nil) == "/home/u/.local/state/holdfast/j")
    #expect(home.state(job: "j", option: "x/../y") == "/work/y")
    #expect(locations(["XDG_STATE_HOME": "/s"]).state(job: "j", option: nil) == "/s/holdfast/j")
    #expect(
      locations(["XDG_STATE_HOME": "relative", "HOME": "/h"]).state(job: "j", option: nil)
        == "/h/.local/state/holdfast/j")
    #expect(locations(["STATE_DIRECTORY": "/var/lib/j:/x"]).state(job: "j", option: nil) == "/var/lib/j")
    #expect(locations(["RUNTIME_DIRECTORY": "/run/j"]).run(job: "j", option: nil, state: "/s") == "/run/j")
    let one = home.run(job: "j", option: nil, state: "/a").string
    #expect(one.hasPrefix("/dev/shm/holdfast-7/j-"))
    #expect(
      one != home.run(job: "j", option: nil, state: "/b").string, "jobs of the same name do not share one")
    let xdg = locations(["XDG_RUNTIME_DIR": "/run/user/7"]).run(job: "j", option: nil, state: "/a").string
    #expect(xdg.hasPrefix("/run/user/7/holdfast/j-"))
  }
}
