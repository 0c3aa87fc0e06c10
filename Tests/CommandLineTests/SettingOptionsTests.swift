import ArgumentParser
import JobFile
import Testing

@testable import HoldfastCLI

/// The options of `run` match the table of settings.
@Suite struct SettingOptionsTests {
  @Test func everySettingWithAnOptionCanBeParsed() throws {
    let samples = [
      "job": "j", "state-dir": "d", "run-dir": "d", "max-stalls": "3", "skip-batch-after": "3",
      "preemption": "gce", "metrics-listen": "9400", "metrics-file": "/x/y.prom", "every-steps": "100",
      "every-epochs": "2", "keep-last": "3", "keep-best": "3", "monitor": "loss", "mode": "max",
      "keep-every-steps": "1000", "keep-daily": "7", "checkpoint-name": "{step}", "checkpoint-dir": "d",
      "save-on-train-epoch-end": "true", "auto-insert-metric-name": "false", "remote": "s3:bucket/jobs",
      "remote-keep-last": "3", "adopt": "out/*", "adopt-marker": "done", "remote-bandwidth": "20MiB",
    ]
    for setting in Setting.all {
      guard let option = setting.option else { continue }
      let isFlag = setting.placeholder == "true|false" && samples[option] == nil
      let options = try SettingOptions.parse(["--\(option)"] + (isFlag ? [] : [samples[option] ?? "5min"]))
      #expect(options.arguments.map(\.setting.name) == [setting.name], "--\(option)")
    }
    #expect(try SettingOptions.parse([]).arguments.isEmpty)
  }

  @Test func everyOptionHasASetting() {
    let help = SettingOptions.helpMessage(columns: 1000)
    let found = help.split(separator: "\n").compactMap { line -> String? in
      let line = line.drop { $0 == " " }
      guard line.hasPrefix("--") else { return nil }
      return String(line.dropFirst(2).prefix { $0 != " " })
    }
    #expect(Set(found) == Set(Setting.all.compactMap(\.option)))
  }

  @Test func helpShowsDefaults() {
    let help = SettingOptions.helpMessage(columns: 1000)
    #expect(help.contains("Maximum time between durable checkpoints. Default: 10min."))
    #expect(help.contains("--step-timeout <duration|auto|off>"))
  }

  @Test(arguments: [
    ["--every", "5"], ["--grace", "0s"], ["--max-stalls", "0"], ["--max-stalls", "x"], ["--job", "a b"],
    ["--stage-every", "off"], ["--metrics-listen", ":9400"], ["--metrics-listen", "0"],
    ["--metrics-listen", "example.org:80"], ["--metrics-file", ""],
  ]) func invalidValueIsUsageError(arguments: [String]) {
    #expect(throws: (any Error).self) { try SettingOptions.parse(arguments) }
  }
}
