import ArgumentParser
import JobFile
import Reporting
import SystemPackage

struct ConfigCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config",
    abstract: "Check a job's configuration file and show the resulting settings.",
    subcommands: [ConfigCheckCommand.self, ConfigShowCommand.self, ConfigKeysCommand.self])
}

struct ConfigCheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Check a configuration file without starting anything.",
    discussion: """
      Exit status: 0 if the file is valid, 78 if it is invalid (each error is shown with its line and column), 66 \
      if it does not exist.

        holdfast config check /etc/holdfast/resnet50.toml
        holdfast config check resnet50
      """)

  @Argument(help: "Path of the file, or name of a job that has one.") var file: String
  @OptionGroup var format: JSONOption

  func run() throws {
    let path = try Locations.current.configuration(file)
    let file = try JobFile.read(path, needsCommand: true)
    let job = ResolvedJob(file, Resolution(file: file, arguments: []), .current)
    let document = JSONValue.object([
      "format_version": .integer(1), "file": .string(path.string), "job": .string(job.name),
      "problems": .array([]),
    ])
    if format.json { return Output.standard.json(document) }
    Output.standard.line("\(path): valid (job '\(job.name)')")
  }
}

struct ConfigShowCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "Show all settings of a job and where their values come from.",
    discussion: """
      Accepts the options of holdfast run and shows the values that it would use. The command line takes \
      precedence over the file, the file over the environment, and the environment over the defaults.

        holdfast config show resnet50 --origin
        holdfast config show --config ./job.toml --every 5min --json
      """)

  @Argument(help: "Name of a job that has a configuration file. For another file, use --config.") var of:
    String?
  @OptionGroup var options: RunOptions
  @Flag(help: "Show where each value comes from.") var origin = false
  @OptionGroup var format: JSONOption

  func validate() throws {
    guard of == nil || options.config == nil else {
      throw ValidationError("use a job name or --config, not both")
    }
  }

  func run() throws {
    var options = options
    options.config = options.config ?? of
    let job = try ResolvedJob(options, command: [], needsCommand: false)
    let shown = ShownSettings(job, .current)
    let output = Output.standard
    if format.json { return output.json(shown.json) }
    for line in shown.table(withOrigins: origin) { output.line(line) }
  }
}

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
