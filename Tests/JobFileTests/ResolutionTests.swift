import Metrics
import Preemption
import Supervision
import SystemPackage
import Testing
import Vocabulary

@testable import JobFile

@Suite struct ResolutionTests {
  @Test func fileCanSetEverySetting() throws {
    let resolution = try settings(complete)
    var expected = JobSettings()
    expected.command = ["python3", "train.py", "--x"]
    expected.workingDirectory = "/srv/train"
    expected.name = "resnet50"
    expected.stateDirectory = "/etc/holdfast/state"
    expected.runDirectory = "/run/x"
    expected.environment = ["A": "x # no comment", "B.c": "y", "Ü": "ü"]
    expected.policy.stageInterval = .auto
    var checkpoint = CheckpointPolicy.initial
    checkpoint.interval = .seconds(300)
    (checkpoint.everySteps, checkpoint.epochs, checkpoint.epochEnd) = (1000, .every(2), .training)
    (checkpoint.keepLast, checkpoint.keepBest, checkpoint.monitor, checkpoint.mode) = (4, 3, "val_loss", .max)
    (checkpoint.keepEverySteps, checkpoint.keepDaily, checkpoint.weightsOnly) = (5000, 7, true)
    (checkpoint.nameTemplate, checkpoint.insertsMetricNames) = ("x-{epoch:02d}", false)
    expected.policy.checkpoint = checkpoint
    var steps = CheckpointPolicy()
    (steps.everySteps, steps.keepLast) = (7, 1)
    var epochs = CheckpointPolicy()
    epochs.epochs = .every(1)
    expected.policy.additional = [steps, epochs]
    expected.policy.isDurable = false
    expected.savesLast = true
    (expected.adoptedPattern, expected.adoptedMarker) = ("out/*.ckpt", "done.json")
    expected.checkpointDirectory = "/etc/holdfast/checkpoints"
    expected.remote = "s3:bucket/jobs"
    expected.remoteInterval = .seconds(3600)
    expected.remoteKeepLast = 9
    expected.remoteBytesPerSecond = 20 << 20
    expected.remoteHeartbeat = .seconds(30)
    expected.policy.maxStalls = 3
    expected.policy.skipBatchAfter = 10
    expected.policy.requiresIdentical = true
    expected.policy.grace = .seconds(5400)
    expected.policy.stepTimeout = .off
    expected.preemption = .cloud(.aws)
    expected.metricsAddress = try ListenAddress(port: 9400)
    expected.metricsFile = "/etc/holdfast/x.prom"
    #expect(resolution.settings == expected)
    for setting in Setting.all {
      guard case .file("/etc/holdfast/x.toml", _) = resolution.origin(of: setting) else {
        Issue.record("\(setting.name) is not set by the complete file")
        continue
      }
    }
  }

  @Test func commandLineOverridesFileAndFileOverridesDefault() throws {
    let resolution = try settings(
      "command = ['a']\n[checkpoint]\ninterval = '5min'\n[stop]\ngrace = '5s'",
      [try .init(.grace, "9s"), .init(command: ["b", "c"])])
    #expect(resolution.settings.policy.grace == .seconds(9))
    #expect(resolution.settings.policy.durableInterval == .seconds(300))
    #expect(resolution.settings.policy.maxStalls == Policy().maxStalls)
    #expect(resolution.settings.command == ["b", "c"])
    #expect(resolution.origin(of: .grace) == .commandLine)
    #expect(resolution.origin(of: .command) == .commandLine)
    #expect(resolution.origin(of: .checkpointInterval) == .file(path: "/etc/holdfast/x.toml", line: 3))
    #expect(resolution.origin(of: .maxStalls) == .initial)
  }

  @Test func changesCompareValuesNotText() throws {
    let old = try settings("[stop]\ngrace = '60s'\n[restart]\nmax-stalls = 5")
    let same = try settings("[stop]\ngrace = '1min'")
    #expect(old.changes(to: same).isEmpty)
    let new = try settings("command = ['a']\n[stop]\ngrace = '2min'")
    #expect(old.changes(to: new).map(\.setting.name) == ["command", "stop.grace"])
    #expect(old.changes(to: new).map(\.new?.toml) == ["[\"a\"]", "\"2min\""])
  }

  @Test func writtenFileRoundTrips() throws {
    let arguments: [Resolution.Argument] = [
      .init(command: ["/usr/bin/x", "a \"b\"\\", "c\n\t\u{1}", "ü", ""]),
      try .init(.workingDirectory, "/a b"),
      try .init(.checkpointInterval, "1h30m"), try .init(.stepTimeout, "off"), try .init(.maxStalls, "7"),
      try .init(.stateDirectory, "/x"),
    ]
    let typed = Resolution(file: nil, arguments: arguments)
    let text = JobFile.text(of: typed, heading: ["made"])
    #expect(try settings(text).settings == typed.settings)
    #expect(
      text.hasPrefix(
        "# made\ncommand = [\"/usr/bin/x\", \"a \\\"b\\\"\\\\\", \"c\\n\\t\\u0001\", \"ü\", \"\"]\n"))
  }

  @Test func settingNamesAreUnique() {
    #expect(Set(Setting.all.map(\.name)).count == Setting.all.count)
    let options = Setting.all.compactMap(\.option)
    #expect(Set(options).count == options.count)
  }

  @Test(arguments: [
    (Duration.seconds(600), "10min"), (.seconds(5400), "1h30min"), (.milliseconds(500), "500ms"),
    (.seconds(25), "25s"), (.seconds(90061), "1d1h1min1s"), (.nanoseconds(1_000_000_001), "1s1ns"),
  ]) func durationTextRoundTrips(duration: Duration, text: String) throws {
    #expect(DurationText.text(duration) == text)
    #expect(try DurationText.parse(text) == duration)
  }
}
