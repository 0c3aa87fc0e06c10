import ArgumentParser
import Glibc
import JobStore

struct EventsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "events",
    abstract: "Show what happened to a job, one line each.",
    discussion: """
        holdfast events resnet50 --follow
        holdfast events resnet50 --json | jq -r 'select(.warning) | .message'
      """)

  @OptionGroup var job: JobOptions
  @Flag(help: "JSON Lines: one document for each event.") var json = false
  @Flag(help: "Go on with those that come.") var follow = false

  func run() throws {
    let reader = try job.open()
    let output = Output.standard
    var last: UInt64 = 0
    while true {
      for event in try reader.store.events(after: last) {
        if json { output.json(event.json) } else { output.line(Self.line(event, output)) }
        last = event.sequence
      }
      guard follow else { return }
      usleep(250_000)
    }
  }

  private static func line(_ event: EventRecord, _ output: Output) -> Line {
    let mark: Line = event.isWarning ? output.paint("\(output.warningSign) ", .yellow) : ""
    return "\(Text.date(event.timeNs).prefix(6)) \(Text.clock(event.timeNs))  \(mark)\(event.message)"
  }
}
