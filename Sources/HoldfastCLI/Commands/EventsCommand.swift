import ArgumentParser
import Glibc
import JobStore

struct EventsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "events",
    abstract: "Show the events of a job, one per line.",
    discussion: """
        holdfast events resnet50 --last 20 --follow
        holdfast events resnet50 --json | jq -r 'select(.warning) | .message'
      """)

  @OptionGroup var job: JobOptions
  @Flag(help: "Print JSON Lines: one document per event.") var json = false
  @Flag(help: "Continue with new events as they occur.") var follow = false
  @Option(help: ArgumentHelp("Only so many, the newest.", valueName: "count")) var last: UInt?

  func validate() throws {
    if last == 0 { throw ValidationError("--last must be above 0") }
  }

  func run() throws {
    let reader = try job.open()
    let output = Output.standard
    let events = reader.store.events
    var shown = try last.map { count throws in try events.start(ofNewest: Int(clamping: count)) } ?? 0
    while true {
      try events.forEach(after: shown) { event in
        if json { output.json(event.json) } else { output.line(Self.line(event, output)) }
        shown = event.sequence
      }
      guard follow else { return }
      usleep(250_000)
    }
  }

  private static func line(_ event: EventRecord, _ output: Output) -> Line {
    let mark: Line = event.isWarning ? output.paint("\(output.warningSign) ", .yellow) : ""
    return
      "\(LocalTime.date(event.timeNs).prefix(6)) \(LocalTime.clock(event.timeNs))  \(mark)\(event.message)"
  }
}
