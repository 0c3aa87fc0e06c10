import Glibc
import JobFile
import POSIX
import Supervisor
import SystemPackage
import TrainerProtocol

/// Finds jobs: those in the user's own state directory, those of configuration files and units, and running ones whose
/// state is anywhere else.
struct KnownJobs {
  struct Place {
    var name: String
    var state: FilePath
    /// nil: it is not known to belong to one.
    var unit: JobUnit?
    /// Whether the name selects it in further commands.
    var isNamed = true

    /// Whether there is a job, not only a configuration.
    var exists: Bool { FileSystem.isDirectory(state.appending("store")) || isUnreadable }

    /// The directory may contain a job, without permission to see it.
    var isUnreadable: Bool {
      state.appending("store").withPlatformString { access($0, F_OK) != 0 && errno == EACCES }
    }
  }

  let locations: Locations

  /// By name.
  var all: [Place] {
    var found: [FilePath: Place] = [:]
    // The first finding of a directory counts: it knows most about it.
    for place in units + own + system + running {
      let key = FileSystem.canonical(place.state) ?? place.state
      if found[key] == nil { found[key] = place }
    }
    return found.values.sorted { ($0.name, $0.state.string) < ($1.name, $1.state.string) }
  }

  /// Those that can be selected by name.
  var named: [Place] { all.filter { $0.isNamed && $0.exists } }

  /// The unit of the job with this state directory.
  func unit(of state: FilePath) -> JobUnit? {
    let wanted = FileSystem.canonical(state) ?? state
    return units.first { (FileSystem.canonical($0.state) ?? $0.state) == wanted }?.unit
  }

  /// The unit of the job with this name, whether or not it was started yet.
  func unit(named name: String) -> JobUnit? { units.first { $0.name == name }?.unit }

  func systemUnit(named name: String) -> Place? {
    units.first { $0.name == name && $0.unit?.isUser == false }
  }

  // MARK: Places

  private var own: [Place] { directories(in: locations.stateRoot) }

  private var system: [Place] {
    directories(in: locations.system.state).map { place in
      var place = place
      place.isNamed = locations.knownState(of: place.name) == place.state
      return place
    }
  }

  private func directories(in root: FilePath) -> [Place] {
    ((try? FileSystem.list(root)) ?? []).map { Place(name: $0, state: root.appending($0)) }.filter(\.exists)
  }

  private var units: [Place] {
    [false, true].flatMap { isUser in
      let directory = isUser ? locations.userConfiguration : locations.system.configuration
      let names = ((try? FileSystem.list(directory)) ?? []).filter { $0.hasSuffix(".toml") }
      return names.compactMap { unitPlace(String($0.dropLast(5)), directory.appending($0), isUser: isUser) }
    }
  }

  private func unitPlace(_ name: String, _ file: FilePath, isUser: Bool) -> Place? {
    guard JobName.isValid(name) else { return nil }
    // An invalid file must not prevent listing the job.
    let settings = (try? JobFile.read(file, needsCommand: false)).map {
      Resolution(file: $0, arguments: []).settings
    }
    let job = settings?.name ?? name
    let root = isUser ? locations.stateRoot.appending(job) : locations.system.state.appending(name)
    let state = settings?.stateDirectory.map(locations.resolve) ?? root
    // A user's file may just be one for `holdfast run --config`.
    guard !isUser || locations.isEnabled(name) else { return nil }
    return Place(name: job, state: state, unit: .packaged(name, isUser: isUser))
  }

  /// Jobs with running trainers, by the mark in their environment.
  private var running: [Place] {
    let marks = (ProcessTable.all() ?? []).compactMap { process in
      ProcessTable.environment(of: process.pid).flatMap(Self.stateDirectory)
    }
    return Set(marks).map { FilePath($0) }.filter { $0.isAbsolute }.map { state in
      Place(name: state.lastComponent?.string ?? state.string, state: state, isNamed: false)
    }.filter(\.exists)
  }

  private static func stateDirectory(_ environment: [ArraySlice<UInt8>]) -> String? {
    let start = "\(RunEnvironment.stateDirectory)="
    return environment.first { $0.starts(with: start.utf8) }.map {
      String(decoding: $0.dropFirst(start.utf8.count), as: UTF8.self)
    }
  }
}

extension Locations {
  /// Whether the user's unit of this job is enabled.
  fileprivate func isEnabled(_ name: String) -> Bool {
    let wants = userConfiguration.removingLastComponent().appending("systemd/user/default.target.wants")
    var status = stat()
    return wants.appending("holdfast@\(name).service").withPlatformString { lstat($0, &status) } == 0
  }
}
