import ArgumentParser
import JobStore
import POSIX
import SystemPackage

struct HistoryCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "history",
    abstract: "Show a job's attempts: when, how each ended, where it resumed, what it replayed.",
    discussion: """
        holdfast history resnet50
        holdfast history resnet50 --attempt 9
        holdfast history resnet50 --json | jq '.attempts[] | select(.replay != "identical")'
      """)

  @OptionGroup var job: JobOptions
  @OptionGroup var format: JSONOption
  @Option(help: "Only this attempt, with all that is known of it.") var attempt: UInt64?

  func run() throws {
    let reader = try job.open()
    let status = try JobStatus(reader)
    let attempts = status.attempts.filter { attempt == nil || $0.attempt == attempt }
    if let attempt, attempts.isEmpty {
      throw Failure(
        .missing, "job '\(reader.name)' has no attempt \(attempt)", path: reader.directory.string,
        hints: ["holdfast history \(reader.argument)  lists them"])
    }
    let output = Output.standard
    if format.json {
      output.json(
        .object([
          "format_version": .integer(1), "job": .string(reader.name),
          "attempts": .array(attempts.map(\.json)),
        ]))
    } else if attempt != nil, let only = attempts.first {
      for line in HistoryText.details(only, status) { output.line(line) }
    } else {
      for line in HistoryText.lines(attempts, status) { output.line(line) }
    }
  }
}
