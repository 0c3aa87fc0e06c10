import ArgumentParser
import Glibc
import JobFile
import POSIX
import Reporting
import SystemPackage

struct InstallUnitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "install-unit",
    abstract: "Write a job's configuration, and let systemd run the job.",
    discussion: """
      Writes /etc/holdfast/NAME.toml, which holdfast@NAME.service runs, and says what starts it; with --enable \
      it does so. The options of holdfast run become the file's keys; the command's program is found now, and \
      the trainer will run in the working directory of now.

        holdfast install-unit resnet50 --every 10min -- python3 train.py --epochs 90
        holdfast install-unit resnet50 --user --enable -- python3 train.py

      Without a command the file that is there is taken as it is.
      """)

  @Argument(help: "Name of the job, and of its unit: holdfast@NAME.service.") var name: String
  @Option(
    help: ArgumentHelp(
      "Where to write it. Another place than the default is linked from there.", valueName: "file"))
  var config: String?
  @Flag(help: "For this user's own systemd: $XDG_CONFIG_HOME/holdfast/NAME.toml.") var user = false
  @Flag(help: "Start it now and at every boot: systemctl enable --now.") var enable = false
  @Flag(help: "Replace a file that is there.") var force = false
  @Flag(help: "Only print the file, and what would be done.") var dryRun = false
  @OptionGroup var settings: SettingOptions
  @Argument(parsing: .postTerminator, help: "The trainer's command, after --.") var command: [String] = []

  func validate() throws {
    guard JobName.isValid(name) else {
      throw ValidationError(JobName.fault(name))
    }
    guard !command.isEmpty || settings.arguments.isEmpty else {
      throw ValidationError("options are written together with a command, after --")
    }
    guard !command.isEmpty || !force else {
      throw ValidationError("--force needs a command to write, after --")
    }
  }

  func run() throws {
    let locations = Locations.current
    let unit = UnitFiles(name, forUser: user, file: config, locations)
    let text = command.isEmpty ? nil : try compose(unit, locations)
    if let text {
      try unit.checkFree(force: force)
      if dryRun { for line in VisibleText.lines(String(text.dropLast())) { Output.standard.line(line) } }
    } else {
      _ = try JobFile.read(unit.file, needsCommand: true)
    }
    if !dryRun {
      if let text { try unit.write(text) }
      try unit.link(force: force)
      if enable { try unit.start() }
    }
    Output.standardError(unit.told(written: text != nil, dryRun: dryRun, enabled: enable))
  }

  private func compose(_ unit: UnitFiles, _ locations: Locations) throws -> String {
    var command = command
    // systemd's PATH is not this shell's.
    command[0] = try locations.resolve(find(command[0], locations)).string
    var arguments = settings.arguments + [Resolution.Argument(command: command)]
    arguments.append(try Resolution.Argument(.workingDirectory, locations.workingDirectory))
    if unit.file.lastComponent?.stem != name, settings.job == nil {
      arguments.append(try Resolution.Argument(.jobName, name))
    }
    let typed = Resolution(file: nil, arguments: arguments).settings
    for (setting, path) in [
      (Setting.stateDirectory, typed.stateDirectory), (.runDirectory, typed.runDirectory),
    ] {
      if let path { arguments.append(try Resolution.Argument(setting, locations.resolve(path).string)) }
    }
    let text = JobFile.text(
      of: Resolution(file: nil, arguments: arguments),
      heading: ["Job \(name), run by \(unit.unit). What there is: man 5 holdfast.toml"])
    try JobFile.check(text, as: unit.file)
    return text
  }

  private func find(_ program: String, _ locations: Locations) throws(Failure) -> String {
    do {
      return try Executable.find(program, searchPath: locations.environment["PATH"] ?? "/usr/bin:/bin").string
    } catch {
      let hints = [Executable.hint(error, program)]
      switch error {
      case .notFound: throw Failure(.notFound, "the command '\(program)' was not found", hints: hints)
      case .notExecutable(let path, _):
        throw Failure(
          .notExecutable, "the command '\(program)' cannot be executed", path: path.string, hints: hints)
      }
    }
  }
}
