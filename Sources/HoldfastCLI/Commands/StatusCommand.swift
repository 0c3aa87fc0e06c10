import ArgumentParser
import Glibc

/// Which job a command is about.
struct JobOptions: ParsableArguments {
  @Argument(help: "Name of the job. Default: the only one there is.") var job: String?
  @OptionGroup var place: StateOption

  func open() throws -> JobReader { try JobReader.open(job, stateDirectory: place.stateDirectory) }
}

struct JSONOption: ParsableArguments {
  @Flag(help: "Print JSON, as documented; errors too.") var json = false
}

struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Show what a job is doing, and what a failure would cost it.",
    discussion: """
      Reads the job's store: it works whether or not the supervisor is alive.

        holdfast status resnet50
        holdfast status resnet50 --watch
        holdfast status resnet50 --json | jq .resume_points

      With --check the exit status tells: 0 healthy or finished, 3 not running, 5 degraded, 69 gave up.
      """)

  @OptionGroup var job: JobOptions
  @OptionGroup var format: JSONOption
  @Flag(help: "Go on showing it, every 2 s; q or Ctrl-C ends.") var watch = false
  @Flag(help: "Exit with a status that says how the job is.") var check = false

  func run() throws {
    if watch { return try Watch(job, wantsJSON: format.json).run() }
    let status = try JobStatus(job.open())
    let output = Output.standard
    if format.json {
      output.json(status.json)
    } else {
      for line in status.text(output) { output.line(line) }
    }
    if check, status.checkStatus != .success { throw ExitCode(status.checkStatus.rawValue) }
  }
}
