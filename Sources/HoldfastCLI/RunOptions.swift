import ArgumentParser
import JobFile

/// Options that describe a job.
struct RunOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The job's configuration file, or the name of a job that has one. Options take precedence over it.",
      valueName: "file"))
  var config: String?
  @OptionGroup var settings: SettingOptions
}
