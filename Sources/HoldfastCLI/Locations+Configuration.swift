import JobFile
import POSIX
import Reporting
import SystemPackage

// Where configuration files are.
extension Locations {
  static let systemConfiguration = FilePath("/etc/holdfast")
  /// What systemd makes for the units of the system: StateDirectory=holdfast/NAME.
  static let systemState = FilePath("/var/lib/holdfast")

  /// Directories of configuration files, the user's own first.
  var configurationDirectories: [FilePath] { [userConfiguration, Self.systemConfiguration] }

  var userConfiguration: FilePath {
    if let root = absolute("XDG_CONFIG_HOME") { return root.appending("holdfast") }
    return (absolute("HOME") ?? "/root").appending(".config/holdfast")
  }

  /// The configuration file that `argument` means: a path, or the name of a job that has one.
  func configuration(_ argument: String) throws(Failure) -> FilePath {
    if FilePath(argument).isURL {
      throw Failure(
        .usage, "'\(argument)' is a URL; a configuration file is on this machine",
        hints: ["holdfast run --config FILE"])
    }
    let path = resolve(argument)
    if argument.contains("/") || argument.hasSuffix(".toml") || FileSystem.exists(path) { return path }
    let candidates = configurationDirectories.map { $0.appending("\(argument).toml") }
    if let found = candidates.first(where: { FileSystem.exists($0) }) { return found }
    let known = configurationDirectories.flatMap { (try? FileSystem.list($0)) ?? [] }
      .filter { $0.hasSuffix(".toml") }.map { String($0.dropLast(5)) }
    let guess = Suggestions.nearest(to: argument, among: known)
    throw Failure(
      .missing,
      "there is no configuration of a job '\(argument)'\(guess.map { "; did you mean '\($0)'?" } ?? "")",
      path: candidates.map(\.string).joined(separator: ", "),
      hints: guess.map { ["holdfast config check \($0)"] }
        ?? ["holdfast install-unit \(JobName.sanitize(argument)) -- COMMAND  writes one"])
  }

  /// Where the state of a job of this name is: the user's own, what its file says, that of a unit.
  func knownState(of job: String) -> FilePath {
    let own = stateRoot.appending(job)
    if FileSystem.exists(own) { return own }
    for directory in configurationDirectories {
      let path = directory.appending("\(job).toml")
      // A file that is wrong is no reason not to look at the job.
      guard let file = try? JobFile.read(path, needsCommand: false) else { continue }
      if let state = Resolution(file: file, arguments: []).settings.stateDirectory { return resolve(state) }
    }
    let unit = Self.systemState.appending(job)
    return FileSystem.exists(unit) ? unit : own
  }
}
