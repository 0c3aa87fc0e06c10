import Checkpoints
import Glibc
public import JobStore
import POSIX
import Reporting
public import Supervision
import SystemPackage
import TrainerProtocol
import Vocabulary

/// Supervises one job until it is finished, stopped or the supervisor gives up.
public enum Supervisor {
  /// The result of a run.
  public struct Result: Sendable {
    public var ending: Ending
    /// The step of the newest resume point.
    public var step: UInt64
    /// That point, worded to follow "at".
    public var place: String
    /// Why the last attempt ended.
    public var why: String?
    /// The trainer's traceback.
    public var traceback: String?
    /// Why the supervisor gave up.
    public var gaveUp: String?
    /// The durable checkpoint of `step`.
    public var checkpoint: String?
    /// The deviation of a finished run from an undisturbed one…
    public var deviation: Deviation?
    /// …and whether it counts as a failure.
    public var requiresIdentical = false
    public var attempt: UInt64
    /// The job had finished before; nothing was started.
    public var wasFinished = false
    /// Current degradations, a sentence each.
    public var degraded: [String] = []
    /// The state directory was moved or removed.
    public var stateIsDisplaced = false
    /// The error number of a failure, if known.
    var errno: Int32?
  }

  /// Runs on the calling thread, which must be the main one, until the job is over.
  public static func run(_ configuration: Configuration) throws -> Result {
    Console.begin(job: configuration.job)
    // While a descriptor is free: without one the first use would abort the process.
    SHA256.prepare()
    let stopSignals = Self.stopSignals
    // Before other threads are started, since they inherit the mask.
    let signals = try SignalSource(stopSignals + [SIGHUP, SIGUSR1, SIGCHLD].filter(isHandled))
    configureSignals()
    let service = try ServiceLink()
    try service.announceStop(by: stopSignals, grace: configuration.policy.grace)
    // Before the command line prints its result.
    defer { Console.flush(timeout: .seconds(1)) }
    do {
      let result = try supervise(configuration, signals, service)
      service.ending(status: ServiceStatus.ended(result), errno: result.errno)
      return result
    } catch {
      service.ending(status: "failed: \(error)", errno: ServiceStatus.errno(error))
      throw error
    }
  }

  /// SIGXCPU is the warning of batch systems, and of the kernel (`ulimit -t`), before SIGKILL.
  private static var stopSignals: [CInt] { [SIGTERM, SIGINT, SIGXCPU].filter(isHandled) }

  /// Inherited ignoring of SIGHUP and SIGINT is kept: nohup(1) ignores SIGHUP, and a shell without job control ignores
  /// SIGINT for `&`, so that the job continues. All other signals are always handled.
  private static func isHandled(_ signal: CInt) -> Bool {
    ![SIGHUP, SIGINT].contains(signal) || !SignalDispositions.isInheritedIgnored(signal)
  }

  private static func configureSignals() {
    // A failed write is reported by its error: to a pipe without a reader (SIGPIPE), beyond the file size limit
    // (SIGXFSZ, `ulimit -f`). A write to the terminal from the background must not stop the supervisor with
    // `stty tostop` (SIGTTOU).
    SignalDispositions.ignore([SIGPIPE, SIGXFSZ, SIGTTOU])
    // With SIGCHLD ignored, the kernel would reap the trainer and its status would be lost. systemd's watchdog ends a
    // hung service by SIGABRT; if Swift's runtime handles that signal to print a backtrace, the process continues
    // afterwards.
    SignalDispositions.setDefault([SIGCHLD, SIGABRT])
  }

  private static func supervise(
    _ configuration: Configuration, _ signals: SignalSource, _ service: ServiceLink
  ) throws -> Result {
    var directories = JobDirectory(state: configuration.stateDirectory, run: configuration.runDirectory)
    // A command that does not exist must not create a job.
    if !FileSystem.exists(directories.store) { try checkCommand(configuration) }
    try directories.prepareState()
    let stateDirectory = try open(directories.state)
    let lock = try lockJob(configuration, directories)
    defer { withExtendedLifetime(lock) {} }
    // Reading the locks takes a while, in which the store is opened.
    let locks = try BackgroundValue { LockTable() }
    let runDirectory = try lockRun(directories, locks)

    try directories.finishArchiving()
    var store: JobStore? = try openStore(directories)
    try Leftovers.checkForLivingSupervisor(directories, locks.value)
    if let job = try store?.job()?.job, job != configuration.job, configuration.isJobNamed {
      throw SupervisorError(
        .otherJob, "the job in this directory is '\(job)', not '\(configuration.job)'",
        path: directories.state, hint: "use another directory: holdfast run --state-dir DIR …")
    }
    if let store {
      // Before anything else takes the job for a new one.
      try ResumeFromAction(job: configuration.job, directories: directories)
        .completeInterrupted(configuration.resumeFrom, configuration.checkpointDirectory, store)
    }
    // Of the finished run that is started over.
    var usedDirectory: FilePath?
    var remote: (place: Remote, finding: RemoteStart.Finding)?
    if let settings = configuration.remote, let store {
      let place = try Remote(settings, job: configuration.job, environment: configuration.environment)
      let own = try CheckpointPlace(state: directories.state, store: store)
        .select(configuration.checkpointDirectory)
      let start = RemoteStart(
        remote: place, job: configuration.job, checkpoints: own ?? directories.checkpoints, store: store)
      remote = (place, try start.run())
    }
    if let wanted = configuration.resumeFrom, let opened = store {
      directories.ownCheckpoints = try CheckpointPlace(state: directories.state, store: opened)
        .select(configuration.checkpointDirectory)
      store = nil
      store = try ResumeFromAction(job: configuration.job, directories: directories)
        .apply(wanted, environment: configuration.environment, to: opened) { try openStore(directories) }
    }
    if let job = try store?.job(), let step = job.finishedStep {
      guard configuration.again || configuration.assignments.isEmpty else {
        throw SupervisorError(
          .otherJob, "job \(job.job) finished at step \(Words.number(step)), so --set changes nothing",
          path: directories.state,
          hint: "add --again: start it over with the new values, and keep the finished run")
      }
      guard configuration.again else {
        // The number of an adopted checkpoint is not a step.
        let isAdopted = try store?.checkpoints().last?.adopted != nil
        let place = ResumePoint.checkpoint(level: isAdopted ? .adopted : .durable, step: step).place
        Console.line(
          "job \(job.job) finished at \(place) "
            + "(\(Timestamp.text(job.finishedAtNs ?? 0))); nothing to do. To start over and keep this "
            + "run: add --again")
        var result = Result(
          ending: .finished, step: step, place: place, why: nil, attempt: 0,
          wasFinished: true)
        result.deviation = try store?.deviation()
        result.requiresIdentical = configuration.policy.requiresIdentical
        return result
      }
      if configuration.checkpointDirectory == nil, let finished = store {
        usedDirectory = try CheckpointPlace(state: directories.state, store: finished).select(nil)
      }
      store = nil
      let kept = try directories.archive()
      Console.line("starting job \(job.job) over; the finished run is kept in \(kept)")
      store = try openStore(directories)
    }
    guard let store else { preconditionFailure("the store was opened above") }
    try AdoptionStart.check(configuration, store)
    directories.ownCheckpoints = try CheckpointPlace(state: directories.state, store: store)
      .select(configuration.checkpointDirectory ?? usedDirectory)
    var job = try loadJob(configuration, directories, store)
    let ownDirectory =
      directories.ownCheckpoints != nil ? try CheckpointDirectory.acquire(directories, job) : nil
    job.checkpointFilesystem = ownDirectory?.filesystem
    if !FileSystem.isInMemory(directories.run) {
      Console.warning("the run directory \(directories.run) is not on tmpfs: every step is written to disk")
    }
    let mark = JobMark(
      jobID: job.id.hexadecimal, runDirectory: directories.run.string,
      stateDirectory: FileSystem.canonical(directories.state)?.string, stateID: try lock.identity())
    var recovered = try Recovery.recover(
      configuration, directories, store, job, stateDirectory, ownDirectory, mark, locks.value,
      service)
    if !configuration.assignments.isEmpty {
      try HyperparameterAction(assignments: configuration.assignments).apply(to: &recovered)
    }
    let runtime = try Runtime(
      recovered, configuration, remote, stateDirectory, runDirectory, signals: signals, service: service)
    let ending = try runtime.run(after: store.repair)
    let state = runtime.core.state
    var result = Result(
      ending: ending, step: state.resume.step, place: state.resume.place, why: runtime.attempt.failureReason,
      attempt: state.standing.attempt,
      errno: runtime.errno(ending))
    result.degraded = runtime.degradations.texts
    result.stateIsDisplaced = stateDirectory.displacement != nil
    result.deviation = runtime.attempt.deviation
    result.requiresIdentical = state.policy.requiresIdentical
    result.traceback = runtime.attempt.record.failure?.traceback
    if ending == .stopped, state.policy.isDurable, case .checkpoint(.staged, let step) = state.resume,
      step > runtime.catalogue.durableStep
    {
      Console.warning(
        "step \(Words.number(step)) is saved only in memory, in \(directories.run): a power loss would cost it; the "
          + "newest durable step is \(Words.number(runtime.catalogue.durableStep))")
    }
    if ending == .gaveUp { result.gaveUp = Note.gaveUp(state.resume, state.standing) }
    result.checkpoint = runtime.catalogue.resumable.last { $0.step == result.step }?.name
    return result
  }

  /// Opens the state directory, to detect later that it was moved or replaced.
  private static func open(_ state: FilePath) throws(SupervisorError) -> OpenFile {
    do {
      return try OpenFile(directory: state)
    } catch {
      throw SupervisorError(
        .cannotCreate, "cannot read the state directory", path: state, why: error.reason,
        hint: "ls -ld \(state)")
    }
  }

  /// Retries a few times, so that a transient disk error does not fail the start.
  private static func openStore(_ directories: JobDirectory) throws -> JobStore {
    for _ in 0..<4 {
      do throws(StoreError) {
        return try JobStore(stateDirectory: directories.state, .create)
      } catch {
        guard error.code == .io else { throw error }
        Console.warning("\(error); retrying")
        usleep(200_000)
      }
    }
    return try JobStore(stateDirectory: directories.state, .create)
  }

  private static func checkCommand(_ configuration: Configuration) throws(SupervisorError) {
    let name = configuration.command[0]
    do {
      _ = try Executable.find(name, environment: configuration.environment)
    } catch {
      switch error {
      case .notFound:
        throw SupervisorError(
          .commandNotFound, "the command '\(name)' was not found", why: "no such file",
          hint: Executable.hint(error, name))
      case .notExecutable(let path, let code):
        throw SupervisorError(
          .commandNotExecutable, "the command '\(name)' cannot be executed", path: path,
          why: "\(code)", hint: Executable.hint(error, name))
      }
    }
  }

  /// The holder of the lock, if the store has it: ` (pid 2143, attempt 4)`.
  private static func holder(_ directories: JobDirectory) -> String {
    // One that has just started has not recorded itself yet.
    let store = try? JobStore(stateDirectory: directories.state, .readOnly)
    return (try? store?.live()).map { " (pid \($0.pid), attempt \($0.attempt))" } ?? ""
  }

  private static func lockJob(
    _ configuration: Configuration, _ directories: JobDirectory
  ) throws -> JobLock {
    let lock = try acquireLock(directories.state) { try JobLock.acquire(in: directories.state) }
    guard let lock else {
      throw SupervisorError(
        .alreadySupervised, "job '\(configuration.job)' is already supervised\(holder(directories))",
        path: directories.state,
        hint: """
          holdfast status --state-dir \(directories.state)  what it is doing
          holdfast stop --state-dir \(directories.state)  save, and stop it
          """)
    }
    return lock
  }

  /// Two jobs must not share a run directory either.
  private static func lockRun(
    _ directories: JobDirectory, _ locks: BackgroundValue<LockTable>
  ) throws -> RunDirectory {
    let run = try acquireLock(directories.state) { try RunDirectory.acquire(directories) }
    guard let run else {
      // The holder may be a supervisor of this job.
      try Leftovers.checkForLivingSupervisor(directories, locks.value)
      throw SupervisorError(
        .alreadySupervised, "the run directory is used by another job", path: directories.run,
        hint: "use another one on tmpfs: holdfast run --run-dir DIR …")
    }
    return run
  }

  /// - Returns: the result of `acquire`. Converts system errors.
  private static func acquireLock<Lock>(_ state: FilePath, _ acquire: () throws -> Lock) throws -> Lock {
    do {
      return try acquire()
    } catch let error as POSIXError {
      let path = error.path ?? state
      throw SupervisorError(
        error.errno.isNoRoom ? .io : .cannotCreate, "cannot create the job's lock", path: path,
        why: error.reason,
        hint: error.isMisplaced ? "move it away: mv \(path) \(path).aside" : "ls -ld \(state); df \(state)")
    }
  }

  /// The job id of an archived run; nil: its store is unreadable.
  private static func archivedJob(_ run: FilePath) -> String? {
    (try? JobStore(stateDirectory: run, .readOnly).job())?.id.hexadecimal
  }

  private static func loadJob(
    _ configuration: Configuration, _ directories: JobDirectory, _ store: JobStore
  ) throws -> JobRecord {
    if var job = try store.job() {
      job.command = configuration.command
      job.checkpointDirectory = directories.ownCheckpoints?.string
      job.remote = configuration.remote?.place
      return job
    }
    // Checkpoints without a store: the store was lost or moved, but they still belong to this job.
    let checkpoints = LocalCheckpoints(directory: directories.checkpoints)
    let manifests = try checkpoints.names().compactMap { checkpoints.verify($0, thorough: false).manifest }
    // In a directory of their own, those of archived runs stay beside them.
    let archived = Set(directories.archivedRuns.compactMap(archivedJob))
    let newest = manifests.filter { $0.job == configuration.job && !archived.contains($0.jobID) }
      .max { $0.step < $1.step }
    // The run directory belongs to this job too: its content belongs to the id in its ring.
    let inMemory = try? RingReader.open(directory: directories.run).identity.jobID
    var job = JobRecord(
      job: configuration.job, id: newest.flatMap { JobID($0.jobID) } ?? inMemory ?? JobID(),
      createdAtNs: Clock.wallNanoseconds, command: configuration.command)
    job.checkpointDirectory = directories.ownCheckpoints?.string
    job.remote = configuration.remote?.place
    return job
  }
}
