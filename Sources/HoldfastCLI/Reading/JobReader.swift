import Checkpoints
import Glibc
import JobFile
import JobStore
import POSIX
import Reporting
import SystemPackage

/// A job as it is on disk. Reads only: nothing is made or changed, whether or not a supervisor lives, but the mark that
/// somebody looks.
struct JobReader {
  let name: String
  let directory: FilePath
  let store: JobStore
  let job: JobRecord

  var checkpoints: LocalCheckpoints { LocalCheckpoints(directory: directory.appending("checkpoints")) }

  /// What the user has to type to mean this job again.
  let argument: Hint

  /// - Parameters:
  ///   - job: the name; nil: the only job there is.
  ///   - stateDirectory: `--state-dir`.
  static func open(_ job: String?, stateDirectory: String?) throws -> JobReader {
    let locations = Locations.current
    let directory = try find(job, stateDirectory, locations)
    let path = directory.appending("store")
    guard FileSystem.isDirectory(path) else {
      if path.withPlatformString({ access($0, F_OK) != 0 && errno == EACCES }) {
        throw Failure(
          .io, "no permission to read job '\(job ?? directory.lastComponent?.string ?? "")'",
          path: directory.string, why: "\(Errno.permissionDenied)",
          hints: ["ls -ld \(directory)  become a member of its group, or its user"])
      }
      if let lost = LostState.find(directory, locations) { throw lost.failure }
      throw missing(
        job ?? directory.lastComponent?.string ?? "", directory, locations, isNamed: stateDirectory != nil)
    }
    ReaderMark.set(in: directory)
    let store = try JobStore(stateDirectory: directory, .readOnly)
    guard let record = try store.job() else {
      throw missing(
        job ?? directory.lastComponent?.string ?? "", directory, locations, isNamed: stateDirectory != nil)
    }
    if let job, stateDirectory != nil, job != record.job {
      throw Failure(
        .missing, "the job in \(directory) is '\(record.job)', not '\(job)'", path: directory.string,
        hints: ["holdfast status --state-dir \(directory)"])
    }
    let argument: Hint = stateDirectory == nil ? "\(record.job)" : "--state-dir \(directory)"
    return JobReader(name: record.job, directory: directory, store: store, job: record, argument: argument)
  }

  private static func find(
    _ job: String?, _ stateDirectory: String?, _ locations: Locations
  ) throws(Failure) -> FilePath {
    if let stateDirectory {
      guard !FilePath(stateDirectory).isURL else {
        throw Failure(
          .usage, "'\(stateDirectory)' is a URL; a job's state is on this machine",
          hints: ["holdfast status --state-dir DIR"])
      }
      return locations.resolve(stateDirectory)
    }
    if let unit = locations.unitDirectory("STATE_DIRECTORY") { return unit }
    if let job { return locations.knownState(of: JobName.sanitize(job)) }
    let known = jobs(in: locations.stateRoot)
    if known.count == 1 { return locations.stateRoot.appending(known[0]) }
    let hint: Hint =
      known.isEmpty
      ? "holdfast run -- COMMAND  start one; or say where it is: --state-dir DIR"
      : "holdfast status \(known[0])  one of: \(words: known.joined(separator: ", "))"
    throw Failure(
      known.isEmpty ? .missing : .usage,
      known.isEmpty ? "there is no job yet" : "which job? there are \(known.count)",
      path: locations.stateRoot.string, hints: [hint])
  }

  private static func jobs(in root: FilePath) -> [String] {
    ((try? FileSystem.list(root)) ?? []).filter {
      FileSystem.isDirectory(root.appending($0).appending("store"))
    }
  }

  /// - Parameter isNamed: the directory was named, and not looked for by the job's name.
  private static func missing(
    _ name: String, _ directory: FilePath, _ locations: Locations, isNamed: Bool
  ) -> Failure {
    if isNamed {
      // What is left of a job there is resumed by the same command with the same directory.
      return Failure(
        .missing, "there is no job in this directory", path: directory.string,
        hints: ["holdfast run --state-dir \(directory) -- COMMAND  starts one there, from what is left"])
    }
    let guess = Suggestions.nearest(to: name, among: jobs(in: locations.stateRoot))
    let question = guess.map { "; did you mean '\($0)'?" } ?? ""
    return Failure(
      .missing, "there is no job '\(name)'\(question)", path: directory.string,
      hints: guess.map { ["holdfast status \($0)"] }
        ?? ["holdfast run --job \(name.isEmpty ? "NAME" : name) -- COMMAND  starts it"])
  }

  /// With what a look at its sizes and manifest alone finds, which costs no reading of its state.
  func examined(_ record: CheckpointRecord) -> CheckpointRecord {
    var record = record
    record.damage = record.damage ?? fault(of: record.name, record, thorough: false)
    return record
  }

  /// Why a resume would not use this checkpoint; nil: it would.
  /// - Parameter record: what the store says of it; nil: it is not listed.
  func fault(of name: String, _ record: CheckpointRecord?, thorough: Bool) -> String? {
    checkpoints.verify(name, of: job.id, step: record?.step, thorough: thorough).fault
  }

  /// Whether a supervisor lives: it holds the lock for as long as it does.
  /// - Throws: when this user may not look; nobody must be told then that it does not.
  func isSupervised() throws(Failure) -> Bool {
    let path = directory.appending("lock")
    do {
      return try !OpenFile(path, .readOnly).tryLock(shared: true)
    } catch  where error.errno == .noSuchFileOrDirectory {
      return false
    } catch {
      throw Failure(
        .io, "cannot tell whether job '\(name)' is supervised", path: path.string, why: error.reason,
        hints: ["ls -l \(path)  become a member of its group, or its user"])
    }
  }
}
