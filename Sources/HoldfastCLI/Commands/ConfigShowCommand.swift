import ArgumentParser
import JobFile
import Reporting

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
