import ArgumentParser
import JobFile
import Reporting

struct ConfigKeysCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keys",
    abstract: "List all keys of a configuration file.",
    discussion:
      "Shows each key with its default, and whether a change is applied by SIGHUP or at the next start.")

  @OptionGroup var format: JSONOption

  func run() throws {
    let output = Output.standard
    if format.json {
      let keys = Setting.all.map(\.json)
      return output.json(
        .object(["format_version": .integer(1), "keys": .array(keys)]))
    }
    let rows = Setting.all.map { setting in
      [setting.name, setting.initial?.toml ?? "-", setting.change.rawValue, setting.summary]
    }
    for line in TextTable.lines([["KEY", "DEFAULT", "RELOAD", "DESCRIPTION"]] + rows) { output.line(line) }
  }
}
