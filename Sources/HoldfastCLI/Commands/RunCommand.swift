import ArgumentParser
import Glibc
import JobFile
import JobStore
import POSIX
import Reporting
import Supervision
import Supervisor
import SystemPackage

struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Run a command as a job, and restart it until it is finished.",
    discussion: """
      Everything after -- is the trainer's command. It inherits standard input, output and error.

        holdfast run -- digits-trainer --epochs 20
        holdfast run --job resnet50 --every 10min --grace 25s -- ./train.sh
        holdfast run --config resnet50.toml

      A trainer that uses holdfast's protocol resumes in mid-epoch. Any other program is restarted when it fails, \
      and is finished when it exits with status 0. With --adopt it resumes with the newest of its own checkpoints.

      Signals: SIGTERM or SIGINT saves and stops within the grace time (exit 75), a second one kills the trainer \
      at once; SIGUSR1 takes a checkpoint now; SIGHUP reloads the configuration file, or stops if there is none. A \
      trainer that ends by SIGINT itself (KeyboardInterrupt) also stops the job and is not restarted.

      Exit status: 0 finished, 4 finished but not identical (with --require-identical), 75 stopped and resumable, \
      69 gave up, 73 already supervised, 78 invalid configuration, 126 command cannot be executed, 127 command not \
      found.
      """)

  @OptionGroup var options: RunOptions
  @Flag(help: "Start a finished job over. The finished run is kept.") var again = false
  @Option(
    help: ArgumentHelp(
      "Start or continue from this checkpoint: a name of the job's, a directory, REMOTE:PATH/JOB[/NAME], or none for "
        + "the beginning. Applied once.", valueName: "checkpoint"))
  var resumeFrom: String?
  @Flag(help: "With --resume-from: load only the weights, and begin at step 0.") var resumeWeightsOnly = false
  @Flag(help: "With --resume-from: set later steps of the job aside, as --again does.") var yes = false
  @Option(
    help: ArgumentHelp(
      "Change a hyperparameter of the job from here on; its type is kept. May be repeated. Applied once.",
      valueName: "name=value"), transform: RunCommand.assignment)
  var set: [Assignment] = []
  @Argument(parsing: .postTerminator, help: "The trainer's command, after --.") var command: [String] = []

  func validate() throws {
    guard !command.isEmpty || options.config != nil else {
      throw ValidationError(
        "no command: use holdfast run -- COMMAND, or holdfast run --config FILE")
    }
    guard resumeFrom != nil || !resumeWeightsOnly else {
      throw ValidationError("--resume-weights-only needs --resume-from")
    }
    guard resumeFrom != "none" || !resumeWeightsOnly else {
      throw ValidationError("--resume-from none has no weights; leave out --resume-weights-only")
    }
  }

  private static func assignment(_ text: String) throws -> Assignment {
    guard let assignment = Assignment(parsing: text) else {
      throw ValidationError("write NAME=VALUE, for example --set learning_rate=1e-4")
    }
    return assignment
  }

  func run() throws {
    let job = try ResolvedJob(options, command: command)
    try job.checkOwner()
    try job.checkPolicies()
    let adoption = try job.adoption()
    Output.standardError(job.ignoredSettings)
    let reloader = job.file.map {
      Reloader(job, file: $0.path, arguments: options.settings.arguments, command: command)
    }
    // Before the working directory changes, as paths of the command line are relative to this one.
    let metricsFile = job.settings.metricsFile.map { Locations.current.resolve($0) }
    try job.enterWorkingDirectory()
    var configuration = Configuration(
      job: job.name, stateDirectory: job.state, runDirectory: job.run, command: job.settings.command,
      environment: job.environment, policy: job.settings.policyInForce, again: again)
    configuration.isJobNamed = job.settings.name != nil
    // A relative path is one of the directory in which the command was typed.
    configuration.resumeFrom = resumeFrom.map { place in
      let path = Locations.current.resolve(place)
      return ResumeFrom(
        place: place.contains("/") && !place.contains(":") ? path.string : place,
        weightsOnly: resumeWeightsOnly,
        isConfirmed: yes)
    }
    configuration.assignments = set
    configuration.checkpointDirectory = job.checkpointDirectory
    configuration.adoption = adoption
    configuration.remote = try job.remote()
    configuration.savesLast = job.settings.savesLast
    configuration.preemption = job.settings.preemption
    configuration.metricsAddress = job.settings.metricsAddress
    configuration.metricsFile = metricsFile
    configuration.version = Version.text
    if let reloader { configuration.reload = { reloader.reload() } }
    try end(try supervise(configuration), job)
  }

  private func supervise(_ configuration: Configuration) throws -> Supervisor.Result {
    do {
      return try Supervisor.run(configuration)
    } catch let error as SupervisorError where error.code == .alreadySupervised {
      let state = configuration.stateDirectory
      guard let holder = try? JobStore(stateDirectory: state, .readOnly).live(),
        let unit = JobUnit.of(supervisor: holder.pid)
      else { throw error }
      // `holdfast stop` would stop it, and systemd start it again.
      var failure = Failure(error)
      failure.hints = [
        "holdfast status --state-dir \(state)  what it is doing", "\(unit.stop)  save, and stop it",
      ]
      throw failure
    }
  }

  private func end(_ result: Supervisor.Result, _ job: ResolvedJob) throws {
    let (name, state, command) = (job.name, job.state, job.settings.command)
    let option: Hint = job.settings.stateDirectory == nil ? "\(name)" : "--state-dir \(state)"
    // The command line as typed, to be repeated.
    let typed = Hint(command: ["holdfast"] + CommandLine.arguments.dropFirst())
    // Started without its unit, the job of a unit would be another one.
    let again = JobUnit.current(Locations.current.environment)?.startAgain ?? typed
    switch result.ending {
    case .finished:
      guard result.requiresIdentical, let deviation = result.deviation else { return }
      throw Failure(
        .deviates, "job '\(name)' finished, but its replay deviates \(deviation.words)",
        path: state.string, why: "likely cause: \(deviation.likelyCause)",
        kept: result.step > 0 ? "the final state, \(result.place)" : nil,
        hints: [
          "holdfast history \(option) --attempt \(deviation.attempt)  the replayed steps and what differed"
        ])
    case .stopped: throw ExitCode(ExitStatus.stopped.rawValue)
    case .gaveUp:
      throw Failure(
        .gaveUp, "job '\(name)' gave up: \(result.gaveUp ?? "")", path: state.string,
        why: result.why.map { why in result.traceback.map { "\(why)\n\($0)" } ?? why },
        kept: result.checkpoint.map { "checkpoint \($0)" }
          ?? (result.step > 0 ? "resume point \(result.place)" : nil),
        hints: [
          "holdfast history \(option)  how each attempt ended",
          "\(again)  try again with a full budget",
        ])
    case .commandNotFound:
      throw Failure(
        .notFound, "the command '\(command[0])' was not found", path: state.string, why: result.why,
        hints: [Executable.hint(.notFound, command[0])])
    case .commandNotExecutable:
      throw Failure(
        .notExecutable, "the command '\(command[0])' cannot be executed", path: state.string,
        why: result.why, hints: ["ls -l \"$(command -v \(command[0]))\""])
    case .cannotStart:
      throw Failure(
        .cannotCreate, "cannot start the trainer", path: state.string, why: result.why,
        hints: [
          "df -h \(job.run)  check the free space; --run-dir DIR selects another directory",
          "ulimit -a  limits of memory, processes and open files",
        ])
    case .finalStateNotDurable:
      let checkpoints: Hint = job.checkpointDirectory.map { " \($0)" } ?? ""
      throw Failure(
        .io, "the job finished, but its final state could not be made durable", path: state.string,
        why: result.degraded.isEmpty ? nil : result.degraded.joined(separator: "\n"),
        kept: result.step > 0 ? "resume point \(result.place)" : nil,
        hints: result.stateIsDisplaced
          ? ["mv MOVED \(state)  move the state directory back, then run the same command again"]
          : [
            "df -h \(state)\(checkpoints) \(job.run)  check the free space; --run-dir DIR stages the state elsewhere",
            "findmnt -T \(job.checkpointDirectory ?? state)  whether it is mounted, and not read-only (ro)",
            "\(again)  continue from there once that is fixed",
          ])
    case .internalError:
      throw Failure(
        .internal, "the supervisor failed", path: state.string, hints: ["holdfast events \(option)"])
    }
  }
}

@Sendable func parseDuration(_ text: String) throws -> Duration {
  do {
    return try DurationText.parse(text)
  } catch {
    throw ValidationError(error.description)
  }
}
