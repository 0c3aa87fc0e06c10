import JobFile
import POSIX
import Reporting
import SystemPackage

// Paths of configuration files.
extension Locations {
  /// Directories of configuration files, the user's own first.
  var configurationDirectories: [FilePath] { [userConfiguration, system.configuration] }

  var userConfiguration: FilePath {
    if let root = absolute("XDG_CONFIG_HOME") { return root.appending("holdfast") }
    return (absolute("HOME") ?? "/root").appending(".config/holdfast")
  }

  /// The configuration file for `argument`, a path or the name of a job that has one.
  func configuration(_ argument: String) throws(Failure) -> FilePath {
    if FilePath(argument).isURL {
      throw Failure(
        .usage, "'\(argument)' is a URL; configuration files must be on this machine",
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
      "job '\(argument)' has no configuration file\(guess.map { "; did you mean '\($0)'?" } ?? "")",
      path: candidates.map(\.string).joined(separator: ", "),
      hints: guess.map { ["holdfast config check \($0)"] }
        ?? ["holdfast install-unit \(JobName.sanitize(argument)) -- COMMAND  create one"])
  }

  /// The state directory of a job: for root that of a system unit; the user's default, else that of its configuration
  /// file, else that of a system unit.
  func knownState(of job: String) -> FilePath {
    let own = stateRoot.appending(job)
    // Root administers the units: an own job of the same name is selected by --state-dir.
    if userID == 0, let unit = KnownJobs(locations: self).systemUnit(named: job), unit.exists {
      return unit.state
    }
    if FileSystem.exists(own) { return own }
    for directory in configurationDirectories {
      let path = directory.appending("\(job).toml")
      // An invalid file must not prevent reading the job.
      guard let file = try? JobFile.read(path, needsCommand: false) else { continue }
      if let state = Resolution(file: file, arguments: []).settings.stateDirectory { return resolve(state) }
    }
    let unit = system.state.appending(job)
    return FileSystem.exists(unit) ? unit : own
  }
}
