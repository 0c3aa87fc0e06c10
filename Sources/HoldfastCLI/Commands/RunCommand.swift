import ArgumentParser
import Glibc
import POSIX
import Preemption
import Supervision
import Supervisor
import SystemPackage

struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Run a command as a job, and keep it alive until it is finished.",
    discussion: """
      Everything after -- is the trainer's command. It inherits standard input, output and error untouched.

        holdfast run -- digits-trainer --epochs 20
        holdfast run --job resnet50 --every 10min --grace 25s -- ./train.sh

      A trainer that speaks holdfast's protocol resumes in mid-epoch. Any other program is restarted when it \
      fails, and is finished when it exits with status 0.

      Signals: SIGTERM or SIGINT save and stop within the grace time (exit 75), a second one hurries; SIGUSR1 \
      takes a checkpoint now.

      Exit status: 0 finished, 75 stopped and resumable, 69 gave up, 73 supervised already, 126 and 127 the \
      command cannot be executed or found.
      """)

  @Option(help: "Name of the job. Default: that of the command, or of its script.") var job: String?
  @OptionGroup var place: StateOption
  @Option(
    name: .customLong("run-dir"),
    help: ArgumentHelp(
      "Directory on tmpfs for what is shared with the trainer. Default: $RUNTIME_DIRECTORY, "
        + "$XDG_RUNTIME_DIR/holdfast, or one below /dev/shm.", valueName: "dir"))
  var runDirectory: String?
  @Option(
    help: ArgumentHelp("Longest time between durable checkpoints.", valueName: "duration"),
    transform: parseDuration) var every: Duration = .seconds(600)
  @Option(
    help: ArgumentHelp(
      "Time between staged checkpoints; auto keeps their cost under 1 %.", valueName: "duration|auto"),
    transform: { try parseLimit($0, allowed: ["auto"]) }) var stageEvery: Policy.Limit = .auto
  @Option(
    help: ArgumentHelp("From the stop signal to the exit.", valueName: "duration"), transform: parseDuration)
  var grace: Duration = .seconds(25)
  @Option(
    help: ArgumentHelp(
      "A trainer without a step for so long is hung; the first step may take ten times as long. auto waits "
        + "until a step time is known.", valueName: "duration|auto|off"),
    transform: { try parseLimit($0, allowed: ["auto", "off"]) }) var stepTimeout: Policy.Limit = .auto
  @Option(help: "Attempts in a row without progress after which to give up.") var maxStalls = 5
  @Option(help: "Leave a batch out after so many attempts in a row died in it.") var skipBatchAfter: Int?
  @Option(
    help: ArgumentHelp(
      "Who says that this machine will be taken away: gce, aws, azure, command:PROGRAM, none; auto asks the "
        + "cloud that the machine's firmware names.", valueName: "source"), transform: parsePreemption)
  var preemption: PreemptionSource = .auto
  @Flag(help: "Start a finished job over; the finished run is kept.") var again = false
  @Argument(parsing: .postTerminator, help: "The trainer's command, after --.") var command: [String] = []

  func validate() throws {
    guard !command.isEmpty else {
      throw ValidationError("no command; write it after --: holdfast run -- COMMAND")
    }
    guard maxStalls > 0 else { throw ValidationError("--max-stalls must be above 0") }
    guard skipBatchAfter ?? 1 > 0 else { throw ValidationError("--skip-batch-after must be above 0") }
    guard every > .zero, grace > .zero else { throw ValidationError("--every and --grace must be above 0") }
    if let job, job != Locations.sanitize(job) {
      throw ValidationError("'\(job)' is no job's name; letters, digits, '.', '_' and '-' make one")
    }
  }

  func run() throws {
    let locations = Locations.current
    let name = job ?? Locations.jobName(command)
    let state = locations.state(job: name, option: place.stateDirectory)
    var policy = Policy()
    policy.durableInterval = every
    policy.stageInterval = stageEvery
    policy.grace = grace
    policy.stepTimeout = stepTimeout
    policy.maxStalls = maxStalls
    policy.skipBatchAfter = skipBatchAfter
    var configuration = Configuration(
      job: name, stateDirectory: state,
      runDirectory: locations.run(job: name, option: runDirectory, state: state), command: command,
      environment: Locations.entries(), policy: policy, again: again)
    configuration.preemption = preemption
    let result = try Supervisor.run(configuration)
    try end(result, name, state)
  }

  private func end(_ result: Supervisor.Result, _ name: String, _ state: FilePath) throws {
    let option = place.stateDirectory == nil ? name : "--state-dir \(state)"
    // As it was typed, so that it can be typed again.
    let again = (["holdfast"] + CommandLine.arguments.dropFirst()).map(Text.quoted).joined(separator: " ")
    switch result.ending {
    case .finished: return
    case .stopped: throw ExitCode(ExitStatus.stopped.rawValue)
    case .gaveUp:
      throw Failure(
        .gaveUp, "job '\(name)' gave up: no progress past step \(Words.number(result.step))",
        path: state.string, why: result.why,
        kept: result.step > 0 ? "resume point step \(Words.number(result.step))" : nil,
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
        why: result.why, hints: ["ls -l $(command -v \(command[0]))"])
    case .cannotStart:
      throw Failure(
        .cannotCreate, "the trainer cannot be started", path: state.string, why: result.why,
        hints: ["df -h /dev/shm  is there room? name another place with --run-dir DIR"])
    case .finalStateNotDurable:
      throw Failure(
        .io, "the job finished, but its final state could not be made durable", path: state.string,
        kept: result.step > 0 ? "resume point step \(Words.number(result.step))" : nil,
        hints: ["df -h \(state) /dev/shm  make room, then run the same command again: it goes on from there"])
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

@Sendable func parsePreemption(_ text: String) throws -> PreemptionSource {
  do {
    return try PreemptionSource(text)
  } catch {
    throw ValidationError("\(error.what); \(error.hint)")
  }
}

func parseLimit(_ text: String, allowed: [String]) throws -> Policy.Limit {
  if allowed.contains(text) { return text == "off" ? .off : .auto }
  let duration = try parseDuration(text)
  guard duration > .zero else { throw ValidationError("it must be above 0") }
  return .fixed(duration)
}

/// `--state-dir`, which every command takes.
struct StateOption: ParsableArguments {
  @Option(
    name: .customLong("state-dir"),
    help: ArgumentHelp(
      "The job's own directory. Default: $STATE_DIRECTORY, or $XDG_STATE_HOME/holdfast/JOB, or "
        + "~/.local/state/holdfast/JOB.", valueName: "dir"))
  var stateDirectory: String?
}
