import Glibc
import JobFile
import POSIX
import Reporting
import SystemPackage

/// The system unit that a configuration file belongs to, and the directories of its job.
struct UnitOwner {
  let unit: JobUnit
  let state: FilePath
  /// Where the unit has ring and arena.
  let run: FilePath
  private let canStart: Bool
  private let userID: UInt32

  /// - Returns: nil if the file does not belong to a unit, if this process is the unit's, or if the command line selects
  ///   the state directory.
  init?(of file: JobFile?, _ resolution: Resolution, _ locations: Locations) {
    guard let file, locations.unitDirectory("STATE_DIRECTORY") == nil,
      resolution.origin(of: .stateDirectory) != .commandLine,
      let name = Self.unitName(of: file.path, locations.system)
    else { return nil }
    unit = .packaged(name, isUser: false)
    state =
      resolution.settings.stateDirectory.map(locations.resolve) ?? locations.system.state.appending(name)
    run = locations.system.runtime.appending(name)
    canStart = locations.system.hasUnits
    userID = locations.userID
  }

  /// `install-unit` may have linked a file at another place.
  private static func unitName(of file: FilePath, _ system: SystemPaths) -> String? {
    guard let wanted = FileSystem.canonical(file) else { return nil }
    let names = ((try? FileSystem.list(system.configuration)) ?? []).filter { $0.hasSuffix(".toml") }
    return names.first { FileSystem.canonical(system.configuration.appending($0)) == wanted }
      .map { String($0.dropLast(5)) }.flatMap { JobName.isValid($0) ? $0 : nil }
  }

  /// The run directory, if it exists and is this user's.
  var ownRun: FilePath? { Self.owner(of: run) == userID ? run : nil }

  private static func owner(of path: FilePath) -> UInt32? {
    var status = stat()
    return path.withPlatformString { stat($0, &status) } == 0 ? status.st_uid : nil
  }

  /// Why this user must not start the job; nil: it may.
  func refusal(job: String, file: FilePath) -> Failure? {
    let owner = Self.owner(of: state)
    guard owner.map({ $0 != userID }) ?? canStart else { return nil }
    let user = owner.map { owner in getpwuid(owner).map { String(cString: $0.pointee.pw_name) } ?? "\(owner)"
    }
    return Failure(
      .cannotCreate, "job '\(job)' is run by \(unit.name)", path: state.string,
      why: user.map {
        "its state belongs to user \($0); started here, it would be another job, from the beginning"
      }
        ?? "started here, it would be another job than the unit's",
      hints: [
        "\(unit.startAgain)  start the unit",
        "holdfast run --config \(file) --state-dir DIR  run another job with this configuration",
      ])
  }
}
