import ArgumentParser
import Glibc
import JobFile
import POSIX
import Reporting
import SystemPackage

struct InstallUnitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "install-unit",
    abstract: "Write a job's configuration file and run the job under systemd.",
    discussion: """
      Writes /etc/holdfast/NAME.toml, which holdfast@NAME.service reads, and prints the command that starts the \
      job; with --enable, it runs that command. The options of holdfast run become keys of the file. The trainer's \
      program is looked up now, and the trainer will run in the current working directory.

        holdfast install-unit resnet50 --every 10min -- python3 train.py --epochs 90
        holdfast install-unit resnet50 --user --enable -- python3 train.py

      Without a command, the existing file is used unchanged.
      """)

  @Argument(help: "Name of the job and of its unit, holdfast@NAME.service.") var name: String
  @Option(
    help: ArgumentHelp(
      "Path of the configuration file. The default path becomes a link to any other path.", valueName: "file")
  )
  var config: String?
  @Flag(help: "Use the user's systemd, and $XDG_CONFIG_HOME/holdfast/NAME.toml.") var user = false
  @Flag(help: "Start the job now and at every boot: systemctl enable --now.") var enable = false
  @Flag(help: "Replace an existing file.") var force = false
  @Flag(help: "Print the file and the steps without doing anything.") var dryRun = false
  @OptionGroup var settings: SettingOptions
  @Argument(parsing: .postTerminator, help: "The trainer's command, after --.") var command: [String] = []

  func validate() throws {
    guard JobName.isValid(name) else {
      throw ValidationError(JobName.fault(name))
    }
    guard !command.isEmpty || settings.arguments.isEmpty else {
      throw ValidationError("options are only written together with a command, after --")
    }
    guard !command.isEmpty || !force else {
      throw ValidationError("--force needs a command to write, after --")
    }
  }

  func run() throws {
    let locations = Locations.current
    let unit = UnitFiles(name, forUser: user, file: config, locations)
    let text = command.isEmpty ? nil : try compose(unit, locations)
    let given = Resolution(
      file: nil, arguments: settings.arguments + [Resolution.Argument(command: command)])
    if text != nil {
      let typed = ResolvedJob(nil, given, locations)
      try typed.checkPolicies()
      _ = try typed.adoption()
    }
    if let text {
      try unit.checkFree(force: force)
      if dryRun { for line in VisibleText.lines(String(text.dropLast())) { Output.standard.line(line) } }
    } else {
      _ = try JobFile.read(unit.file, needsCommand: true)
    }
    if !dryRun {
      if let text { try unit.write(text) }
      try unit.link(force: force)
      if !user {
        let file = try JobFile.read(unit.file, needsCommand: true)
        let job = ResolvedJob(file, Resolution(file: file, arguments: []), locations)
        _ = try job.adoption()
        let directories = [job.settings.checkpointDirectory, job.adoptedDirectory]
        let dropIn = UnitDropIn(unit: unit.unit, writable: directories.compactMap { $0.map { FilePath($0) } })
        for line in try dropIn.install() { Output.standardError([line]) }
      }
      if enable { try unit.start() }
    }
    Output.standardError(unit.summary(written: text != nil, dryRun: dryRun, enabled: enable))
  }

  private func compose(_ unit: UnitFiles, _ locations: Locations) throws -> String {
    var command = command
    // systemd has another PATH than this shell.
    command[0] = try locations.resolve(find(command[0], locations)).string
    var arguments = settings.arguments + [Resolution.Argument(command: command)]
    arguments.append(try Resolution.Argument(.workingDirectory, locations.workingDirectory))
    if unit.file.lastComponent?.stem != name, settings.job == nil {
      arguments.append(try Resolution.Argument(.jobName, name))
    }
    let typed = Resolution(file: nil, arguments: arguments).settings
    for (setting, path) in [
      (Setting.stateDirectory, typed.stateDirectory), (.runDirectory, typed.runDirectory),
      (.checkpointDirectory, typed.checkpointDirectory),
    ] {
      if let path { arguments.append(try Resolution.Argument(setting, locations.resolve(path).string)) }
    }
    let text = JobFile.text(
      of: Resolution(file: nil, arguments: arguments),
      heading: ["Job \(name), run by \(unit.unit). All keys: man 5 holdfast.toml"])
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
