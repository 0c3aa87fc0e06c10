import ArgumentParser
import Glibc

struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Show what a job is doing and what a failure would cost.",
    discussion: """
      Reads the job's store, so it works whether or not the supervisor is running.

        holdfast status resnet50
        holdfast status resnet50 --watch
        holdfast status resnet50 --json | jq .resume_points

      Exit status with --check: 0 healthy or finished, 3 not running, 5 degraded, 69 gave up.
      """)

  @OptionGroup var job: JobOptions
  @OptionGroup var format: JSONOption
  @Flag(help: "Refresh every 2 s until q or Ctrl-C.") var watch = false
  @Flag(help: "Report the health of the job in the exit status.") var check = false

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
