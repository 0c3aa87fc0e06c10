import Checkpoints
import Glibc
import JobFile
import JobStore
import POSIX
import Reporting
import SystemPackage

/// Reads a job's state directory, with or without a running supervisor. It changes only the reader mark.
struct JobReader {
  let name: String
  let directory: FilePath
  let store: JobStore
  let job: JobRecord

  var checkpoints: LocalCheckpoints {
    LocalCheckpoints(
      directory: job.checkpointDirectory.map { FilePath($0) } ?? directory.appending("checkpoints"))
  }

  /// The argument that selects this job in further commands.
  let argument: Hint

  /// - Parameters:
  ///   - job: the name; nil: the only job.
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
          hints: ["ls -ld \(directory)  check its owner and group"])
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
          .usage, "'\(stateDirectory)' is a URL; the state directory must be on this machine",
          hints: ["holdfast status --state-dir DIR"])
      }
      return locations.resolve(stateDirectory)
    }
    if let unit = locations.unitDirectory("STATE_DIRECTORY") { return unit }
    if let job { return locations.knownState(of: JobName.sanitize(job)) }
    let known = KnownJobs(locations: locations).named
    if known.count == 1 { return known[0].state }
    guard let first = known.first else {
      throw Failure(
        .missing, "no jobs found", path: locations.stateRoot.string,
        hints: [
          "holdfast run -- COMMAND  start one; or select its directory: --state-dir DIR",
          "holdfast list  also jobs in other directories that are running",
        ])
    }
    throw Failure(
      .usage, "\(known.count) jobs found; name one", path: locations.stateRoot.string,
      hints: [
        "holdfast list  all jobs",
        "holdfast status \(first.name)  one of: \(words: known.map(\.name).joined(separator: ", "))",
      ])
  }

  /// - Parameter isNamed: whether the user named the directory rather than the job.
  private static func missing(
    _ name: String, _ directory: FilePath, _ locations: Locations, isNamed: Bool
  ) -> Failure {
    if isNamed {
      // The same command with the same directory resumes what is left of a job there.
      return Failure(
        .missing, "no job in this directory", path: directory.string,
        hints: ["holdfast run --state-dir \(directory) -- COMMAND  start one there, from what is left"])
    }
    let jobs = KnownJobs(locations: locations)
    let guess = Suggestions.nearest(to: name, among: jobs.named.map(\.name))
    let question = guess.map { "; did you mean '\($0)'?" } ?? ""
    return Failure(
      .missing, "no such job '\(name)'\(question)", path: directory.string,
      hints: guess.map { ["holdfast status \($0)"] } ?? jobs.unit(named: name).map {
        ["\($0.start)  start it"]
      }
        ?? ["holdfast run --job \(name.isEmpty ? "NAME" : name) -- COMMAND  start it"])
  }

  /// Adds damage found in sizes and manifest, without reading the state.
  /// - Parameter sizes: if given, the manifest is read only if a file is missing or the sizes are not those that were
  ///   recorded; for thousands of checkpoints.
  func examined(_ record: CheckpointRecord, by sizes: CheckpointSizes? = nil) -> CheckpointRecord {
    if let sizes, record.damage == nil, sizes.bytes(of: record.name) == record.bytes { return record }
    var record = record
    record.damage = record.damage ?? fault(of: record.name, record, thorough: false)
    return record
  }

  /// Whether none of these is there, as when the filesystem is not mounted.
  func isWithout(_ records: [CheckpointRecord]) -> Bool {
    !records.isEmpty && !records.reversed().contains { FileKind.of(checkpoints.path(of: $0.name)) != nil }
  }

  /// Why a resume would skip this checkpoint; nil if it would not.
  /// - Parameter record: its record in the store; nil if it is not listed.
  func fault(of name: String, _ record: CheckpointRecord?, thorough: Bool) -> String? {
    checkpoints.verify(name, of: job.id, step: record?.step, thorough: thorough).fault
  }

  /// Whether a supervisor is running: it holds the lock until it exits.
  /// - Throws: without permission to read the lock, as "not running" could be wrong.
  func isSupervised() throws(Failure) -> Bool {
    let path = directory.appending("lock")
    do {
      return try !OpenFile(path, .readOnly).tryLock(shared: true)
    } catch  where error.errno == .noSuchFileOrDirectory {
      return false
    } catch {
      throw Failure(
        .io, "cannot determine whether job '\(name)' is supervised", path: path.string, why: error.reason,
        hints: ["ls -l \(path)  check its owner and group"])
    }
  }
}
