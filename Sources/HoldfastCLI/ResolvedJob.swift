import Glibc
import JobFile
import POSIX
import Reporting
import Supervision
import Supervisor
import SystemPackage

/// A job as described by the command line and its configuration file.
struct ResolvedJob {
  var file: JobFile?
  var resolution: Resolution
  var settings: JobSettings { resolution.settings }
  var name: String
  var state: FilePath
  var run: FilePath
  /// nil: below the state directory.
  var checkpointDirectory: FilePath?
  /// The system unit that the file belongs to, unless this process is the unit's.
  var owner: UnitOwner?

  /// - Parameter needsCommand: whether the file must have a command if the command line has none.
  init(_ options: RunOptions, command: [String], needsCommand: Bool = true) throws {
    let locations = Locations.current
    let given = options.settings.arguments + (command.isEmpty ? [] : [Resolution.Argument(command: command)])
    let file = try options.config.map {
      try JobFile.read(locations.configuration($0), needsCommand: needsCommand && command.isEmpty)
    }
    self.init(file, Resolution(file: file, arguments: given), locations)
  }

  init(_ file: JobFile?, _ resolution: Resolution, _ locations: Locations) {
    self.file = file
    self.resolution = resolution
    let settings = resolution.settings
    let fileName = file?.path.lastComponent?.stem.description
    name = settings.name ?? fileName.map(JobName.sanitize) ?? Locations.jobName(settings.command)
    let owner = UnitOwner(of: file, resolution, locations)
    self.owner = owner
    state = owner?.state ?? locations.state(job: name, option: settings.stateDirectory)
    let run = settings.runDirectory ?? owner?.ownRun?.string
    self.run = locations.run(job: name, option: run, state: state)
    checkpointDirectory = settings.checkpointDirectory.map(locations.resolve)
  }
}

extension ResolvedJob {
  /// Throws if the job belongs to a unit and this user cannot continue it.
  func checkOwner() throws(Failure) {
    if let file, let refusal = owner?.refusal(job: name, file: file.path) { throw refusal }
  }

  /// Throws if settings of the command line and the file do not fit together.
  func checkPolicies() throws(Failure) {
    if settings.savesLast, settings.policy.policies.contains(where: { $0.nameTemplate == "last" }) {
      let what = "a checkpoint cannot be named 'last' beside the link 'last' of save-last"
      let isTyped = [.checkpointName, .saveLast].contains { resolution.origin(of: $0) == .commandLine }
      throw Failure(
        isTyped ? .usage : .configuration, what, path: isTyped ? nil : file?.path.string,
        hints: ["use another name, such as 'step-{step}', or leave out save-last"])
    }
    guard let mistake = settings.policy.checkpoint.mistake else { return }
    let from = resolution.origin(of: settings.policy.checkpoint.keepBest > 0 ? .keepBest : .monitor)
    guard case .file(let path, let line) = from else {
      throw Failure(.usage, "--\(mistake)", hints: ["holdfast run --help  the options of checkpoints"])
    }
    throw Failure(.configuration, mistake, path: "\(path):\(line)", hints: ["holdfast config keys"])
  }

  /// nil: nothing is replicated.
  func remote() throws(Failure) -> RemoteSettings? {
    guard let place = settings.remote else { return nil }
    if let fault = RemoteSettings.fault(ofPlace: place) {
      let isTyped = resolution.origin(of: .remote) == .commandLine
      throw Failure(
        isTyped ? .usage : .configuration, "invalid remote storage: \(fault)",
        hints: ["holdfast run --remote s3:bucket/jobs …", "rclone config  configure remotes"])
    }
    var remote = RemoteSettings(place: place)
    remote.interval = settings.remoteInterval ?? .zero
    remote.keepLast = settings.remoteKeepLast
    remote.bytesPerSecond = settings.remoteBytesPerSecond
    remote.heartbeat = settings.remoteHeartbeat
    return remote
  }

  /// `NAME=value` entries of this process, overridden by those of the file.
  var environment: [String] {
    let own = settings.environment
    let inherited = Locations.entries().filter { entry in
      own[String(entry.prefix { $0 != "=" })] == nil
    }
    return inherited + own.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
  }

  /// Changes the working directory, which the trainer inherits.
  func enterWorkingDirectory() throws {
    guard let directory = settings.workingDirectory, chdir(directory) != 0 else { return }
    let why = String(cString: strerror(errno))
    var place = directory
    if case .file(let path, let line) = resolution.origin(of: .workingDirectory) { place = "\(path):\(line)" }
    throw Failure(
      .configuration, "cannot enter the working directory '\(directory)'", path: place, why: why,
      hints: ["ls -ld \(directory)", "holdfast config show --config \(file?.path.string ?? "FILE")"])
  }
}
