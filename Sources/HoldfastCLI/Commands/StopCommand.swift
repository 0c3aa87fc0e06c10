import ArgumentParser
import Glibc
import JobFile
import JobStore
import POSIX
import Reporting
import Supervisor
import SystemPackage
import Vocabulary

struct StopCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stop",
    abstract: "Save a running job and stop it; the next start resumes.",
    discussion: """
      Sends SIGTERM to the job's supervisor and waits until it exits. Under systemd, use systemctl stop instead: \
      a unit may restart a stopped job.
      """)

  @OptionGroup var job: JobOptions
  @OptionGroup var format: JSONOption

  func run() throws {
    let reader = try job.open()
    let output = Output.standard
    guard let live = try Signals.supervisor(of: reader) else {
      let status = try JobStatus(reader)
      return answer("job \(reader.name) is not running (\(status.state.words))", status, output)
    }
    try Signals.send(SIGTERM, live, reader)
    // The supervisor exits within its grace time; 30 s more for a loaded machine.
    let timeout = min(max(0, live.graceSeconds), 1e9) + 30
    var waited = 0.0
    while try reader.isSupervised() {
      guard waited < timeout else {
        throw Failure(
          .gaveUp, "job '\(reader.name)' has not stopped within \(Words.duration(seconds: timeout))",
          path: reader.directory.string,
          hints: [
            "holdfast stop \(reader.argument)  again: a second signal kills the trainer",
            "kill -KILL \(live.pid)",
          ])
      }
      usleep(50_000)
      waited += 0.05
    }
    let status = try JobStatus(reader)
    if status.state == .finished { return answer("job \(reader.name) finished", status, output) }
    let point = status.resume(afterPowerLoss: true)
    let step = Words.number(status.newest?.step ?? 0)
    let place = status.isAdopted ? "" : " at step \(step)"
    answer("job \(reader.name) stopped\(place); \(status.words(point))", status, output)
  }

  private func answer(_ text: String, _ status: JobStatus, _ output: Output) {
    if format.json { output.json(status.json) } else { output.line(text) }
  }
}
