import Checkpoints
import Glibc
public import JobStore
import POSIX
import Reporting
public import Supervision
import SystemPackage
import TrainerProtocol
import Vocabulary

/// Supervises one job until it is finished, stopped or given up.
public enum Supervisor {
  /// How it went.
  public struct Result: Sendable {
    public var ending: Ending
    /// The newest step behind a resume point.
    public var step: UInt64
    /// Cause of the last attempt's end, in words.
    public var why: String?
    /// Where the trainer says that it failed, line by line.
    public var traceback: String?
    /// What it gave up for.
    public var gaveUp: String?
    /// The durable checkpoint of `step`.
    public var checkpoint: String?
    /// A finished run that is not the undisturbed one…
    public var deviation: Deviation?
    /// …and whether that is to be a failure.
    public var requiresIdentical = false
    public var attempt: UInt64
    /// The job had finished before; nothing was started.
    public var wasFinished = false
    /// What does not work, a sentence each.
    public var degraded: [String] = []
    /// The state directory is not where it was.
    public var stateIsDisplaced = false
    /// Why it failed, as in errno(3), where that is known.
    var errno: Int32?
  }

  /// Runs on the calling thread, which must be the main one, until the job is over.
  public static func run(_ configuration: Configuration) throws -> Result {
    Console.begin(job: configuration.job)
    // While there is a free descriptor: without one its first use aborts the process.
    SHA256.prepare()
    let stopSignals = Self.stopSignals
    // Before any other thread: they inherit the mask.
    let signals = try SignalSource(stopSignals + [SIGHUP, SIGUSR1, SIGCHLD].filter(isHandled))
    configureSignals()
    let service = try ServiceLink()
    try service.announceStop(by: stopSignals, grace: configuration.policy.grace)
    // The command line's own words come after ours.
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

  /// SIGXCPU: batch systems warn by it before they kill, and so does the kernel (`ulimit -t`).
  private static var stopSignals: [CInt] { [SIGTERM, SIGINT, SIGXCPU].filter(isHandled) }

  /// nohup(1) has SIGHUP ignored, and a shell without job control SIGINT in what it starts by `&`: whoever did
  /// that wants the job to go on. All others are taken whatever was inherited.
  private static func isHandled(_ signal: CInt) -> Bool {
    ![SIGHUP, SIGINT].contains(signal) || !SignalDispositions.isInheritedIgnored(signal)
  }

  private static func configureSignals() {
    // A write that fails says so by its error: to a pipe that nobody reads (SIGPIPE), beyond the largest file
    // that is allowed (SIGXFSZ, `ulimit -f`). One to the terminal from the background goes through, also with
    // `stty tostop` (SIGTTOU): a supervisor that stands still looks after nobody.
    SignalDispositions.ignore([SIGPIPE, SIGXFSZ, SIGTTOU])
    // Ignored, the kernel would reap the trainer itself and its status would be lost. systemd's watchdog ends a
    // service that hangs by SIGABRT; where Swift's runtime prints a backtrace for that signal, the process
    // goes on afterwards: it came from outside.
    SignalDispositions.setDefault([SIGCHLD, SIGABRT])
  }

  private static func supervise(
    _ configuration: Configuration, _ signals: SignalSource, _ service: ServiceLink
  ) throws -> Result {
    let directories = JobDirectory(state: configuration.stateDirectory, run: configuration.runDirectory)
    // A command that is not there makes no job.
    if !FileSystem.exists(directories.store) { try checkCommand(configuration) }
    try directories.prepareState()
    let stateDirectory = try open(directories.state)
    let lock = try lockJob(configuration, directories)
    defer { withExtendedLifetime(lock) {} }
    // It takes a while, in which the store is read.
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
    if let job = try store?.job(), let step = job.finishedStep {
      guard configuration.again else {
        Console.line(
          "job \(job.job) finished at step \(Words.number(step)) "
            + "(\(Timestamp.text(job.finishedAtNs ?? 0))); nothing to do. To start over and keep this "
            + "run: add --again")
        var result = Result(ending: .finished, step: step, why: nil, attempt: 0, wasFinished: true)
        result.deviation = try store?.deviation()
        result.requiresIdentical = configuration.policy.requiresIdentical
        return result
      }
      store = nil
      let kept = try directories.archive()
      Console.line("starting job \(job.job) over; the finished run is kept in \(kept)")
      store = try openStore(directories)
    }
    guard let store else { preconditionFailure("the store was opened above") }
    let job = try loadJob(configuration, directories, store)
    if !FileSystem.isInMemory(directories.run) {
      Console.warning("the run directory \(directories.run) is not on tmpfs: every step is written to disk")
    }
    let mark = JobMark(
      jobID: job.id.hexadecimal, runDirectory: directories.run.string,
      stateDirectory: FileSystem.canonical(directories.state)?.string, stateID: try lock.identity())
    let recovered = try Recovery.recover(
      configuration, directories, store, job, stateDirectory, mark, locks.value, service)
    let runtime = try Runtime(
      recovered, configuration, stateDirectory, runDirectory, signals: signals, service: service)
    let ending = try runtime.run(after: store.repair)
    let state = runtime.core.state
    var result = Result(
      ending: ending, step: state.resume.step, why: runtime.attempt.failureReason,
      attempt: state.standing.attempt,
      errno: runtime.errno(ending))
    result.degraded = runtime.degradations.texts
    result.stateIsDisplaced = stateDirectory.displacement != nil
    result.deviation = runtime.attempt.deviation
    result.requiresIdentical = state.policy.requiresIdentical
    result.traceback = runtime.attempt.record.failure?.traceback
    if ending == .gaveUp { result.gaveUp = Note.gaveUp(result.step, state.standing) }
    result.checkpoint = runtime.catalogue.undamaged.last { $0.step == result.step }?.name
    return result
  }

  /// The state directory itself, to know it again.
  private static func open(_ state: FilePath) throws(SupervisorError) -> OpenFile {
    do {
      return try OpenFile(directory: state)
    } catch {
      throw SupervisorError(
        .cannotCreate, "cannot read the state directory", path: state, why: error.reason,
        hint: "ls -ld \(state)")
    }
  }

  /// A disk that fails once must not cost a start: it is tried a few times.
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

  /// Who holds the lock, as far as the store can tell: ` (pid 2143, attempt 4)`.
  private static func holder(_ directories: JobDirectory) -> String {
    // Of one that has just begun there is nothing to read yet.
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
      // It may be this job's own.
      try Leftovers.checkForLivingSupervisor(directories, locks.value)
      throw SupervisorError(
        .alreadySupervised, "the run directory is used by another job", path: directories.run,
        hint: "use another one on tmpfs: holdfast run --run-dir DIR …")
    }
    return run
  }

  /// - Returns: what `acquire` does. The system's errors are told with the lock that could not be made.
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

  private static func loadJob(
    _ configuration: Configuration, _ directories: JobDirectory, _ store: JobStore
  ) throws -> JobRecord {
    if var job = try store.job() {
      job.command = configuration.command
      return job
    }
    // Checkpoints without a store: it was lost or set aside, and they are still this job's.
    let checkpoints = LocalCheckpoints(directory: directories.checkpoints)
    let manifests = try checkpoints.names().compactMap { checkpoints.verify($0, thorough: false).manifest }
    let newest = manifests.filter { $0.job == configuration.job }.max { $0.step < $1.step }
    // The run directory is this job's too: what it holds belongs to the id in its ring.
    let inMemory = try? RingReader.open(directory: directories.run).identity.jobID
    return JobRecord(
      job: configuration.job, id: newest.flatMap { JobID($0.jobID) } ?? inMemory ?? JobID(),
      createdAtNs: Clock.wallNanoseconds, command: configuration.command)
  }
}
