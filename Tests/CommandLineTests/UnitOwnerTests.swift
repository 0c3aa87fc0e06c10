import Foundation
import JobFile
import Reporting
import SystemPackage
import Testing

@testable import HoldfastCLI

/// A configuration of a system unit that is used without the unit, with scratch directories for those of the system.
@Suite final class UnitOwnerTests {
  private let base = NSTemporaryDirectory() + "holdfast-test-" + UUID().uuidString
  private var file: FilePath { FilePath(base + "/etc/job.toml") }
  private var state: FilePath { FilePath(base + "/var/job") }

  init() throws {
    for name in ["etc", "var", "run", "units", "booted"] {
      try FileManager.default.createDirectory(atPath: "\(base)/\(name)", withIntermediateDirectories: true)
    }
    try "command = [\"true\"]\n".write(toFile: file.string, atomically: true, encoding: .utf8)
  }

  deinit { try? FileManager.default.removeItem(atPath: base) }

  private func locations(
    userID: UInt32 = getuid(), environment: [String: String] = [:], isBooted: Bool = false
  ) throws -> Locations {
    let unit = "\(base)/units/holdfast@.service"
    if isBooted { try "".write(toFile: unit, atomically: true, encoding: .utf8) }
    var locations = Locations(
      environment: ["HOME": base + "/home"].merging(environment) { $1 }, workingDirectory: base,
      userID: userID)
    locations.system = SystemPaths(
      configuration: FilePath(base + "/etc"), state: FilePath(base + "/var"),
      runtime: FilePath(base + "/run"),
      units: [FilePath(base + "/units")], booted: FilePath(base + "/booted"))
    return locations
  }

  private func job(
    _ file: FilePath, _ locations: Locations, _ arguments: [Resolution.Argument] = []
  ) throws -> ResolvedJob {
    let read = try JobFile.read(file, needsCommand: true)
    return ResolvedJob(read, Resolution(file: read, arguments: arguments), locations)
  }

  private func createState() throws {
    try FileManager.default.createDirectory(atPath: state.string, withIntermediateDirectories: true)
  }

  @Test func anotherUserIsRefused() throws {
    try createState()
    let job = try job(file, locations(userID: getuid() + 1))
    let refusal = try #require(throws: Failure.self) { try job.checkOwner() }
    #expect(refusal.status == .cannotCreate && refusal.what == "job 'job' is run by holdfast@job.service")
    #expect(refusal.why?.contains("it would be another job, from the beginning") == true)
    let start = "systemctl reset-failed holdfast@job.service; systemctl start holdfast@job.service"
    #expect(refusal.hints.first?.text.hasPrefix(start) == true)
  }

  @Test func unitsUserContinuesInUnitsDirectories() throws {
    try createState()
    try FileManager.default.createDirectory(atPath: base + "/run/job", withIntermediateDirectories: true)
    let job = try job(file, locations())
    try job.checkOwner()
    #expect(job.state == state && job.run == FilePath(base + "/run/job"))
  }

  @Test func linkedFileBelongsToTheUnit() throws {
    try createState()
    let mine = FilePath(base + "/mine.toml")
    try FileManager.default.moveItem(atPath: file.string, toPath: mine.string)
    try FileManager.default.createSymbolicLink(atPath: file.string, withDestinationPath: mine.string)
    #expect(try job(mine, locations()).state == state)
  }

  @Test func unitThatHasNotRunIsStartedBySystemd() throws {
    let job = try job(file, locations(isBooted: true))
    let refusal = try #require(throws: Failure.self) { try job.checkOwner() }
    #expect(refusal.hints.first?.text.contains("systemctl start holdfast@job.service") == true)
  }

  /// As in a container.
  @Test func withoutSystemdTheFileIsRun() throws {
    try job(file, locations()).checkOwner()
  }

  @Test func otherFilesAndExplicitDirectoriesBelongToNoUnit() throws {
    try createState()
    let other = locations
    let stranger = try other(getuid() + 1, [:], true)
    let copy = FilePath(base + "/job.toml")
    try FileManager.default.copyItem(atPath: file.string, toPath: copy.string)
    #expect(try job(copy, stranger).owner == nil)
    let typed = try Resolution.Argument(.stateDirectory, base + "/mine")
    let separate = try job(file, stranger, [typed])
    #expect(separate.owner == nil && separate.state == FilePath(base + "/mine"))
    let unit = try other(getuid() + 1, ["STATE_DIRECTORY": state.string], true)
    #expect(try job(file, unit).owner == nil)
  }

  @Test func nameSelectsTheUnitForRootAndTheOwnJobForOthers() throws {
    let own = base + "/home/.local/state/holdfast/job"
    for path in [state.string, own] {
      try FileManager.default.createDirectory(atPath: path + "/store", withIntermediateDirectories: true)
    }
    #expect(try locations(userID: 0).knownState(of: "job") == state)
    #expect(try locations(userID: 7).knownState(of: "job") == FilePath(own))
    try FileManager.default.removeItem(at: URL(fileURLWithPath: file.string))
    #expect(try locations(userID: 0).knownState(of: "job") == FilePath(own))
  }

  @Test func unitsAreKnownJobs() throws {
    let known = KnownJobs(locations: try locations())
    let place = try #require(known.all.first { $0.name == "job" })
    #expect(place.state == state && place.unit == .packaged("job", isUser: false) && !place.exists)
    #expect(known.unit(named: "job") == place.unit && known.unit(of: state) == place.unit)
    try FileManager.default.createDirectory(
      atPath: base + "/var/job/store", withIntermediateDirectories: true)
    #expect(known.named.map(\.name) == ["job"])
  }
}
