import ArgumentParser
import JobStore
import POSIX
import Reporting
import SystemPackage

struct HistoryCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "history",
    abstract: "Show a job's attempts: when each ran, how it ended, where it resumed, what it replayed.",
    discussion: """
        holdfast history resnet50
        holdfast history resnet50 --last 20
        holdfast history resnet50 --attempt 9
        holdfast history resnet50 --json | jq '.attempts[] | select(.replay != "identical")'
      """)

  @OptionGroup var job: JobOptions
  @OptionGroup var format: JSONOption
  @Option(help: "Show this attempt in detail.") var attempt: UInt64?
  @Option(help: ArgumentHelp("Only so many, the newest.", valueName: "count")) var last: UInt?

  func validate() throws {
    if attempt != nil, last != nil { throw ValidationError("use --attempt or --last, not both") }
    if last == 0 { throw ValidationError("--last must be above 0") }
  }

  func run() throws {
    let reader = try job.open()
    let status = try JobStatus(reader)
    let attempts = reader.store.attempts
    let start = try last.map { count throws in try attempts.start(ofNewest: Int(clamping: count)) } ?? 0
    let output = Output.standard
    let one = try attempt.map { number throws in try only(number, reader, status) }
    if format.json {
      var list = JSONListWriter(
        output, list: "attempts", members: ["format_version": .integer(1), "job": .string(reader.name)])
      if let one {
        list.append(one.json)
      } else {
        try attempts.forEach(after: start) { list.append($0.updated(to: status.newest).json) }
      }
      return list.end()
    }
    var text = HistoryText(status, output)
    if let one { return text.details(one) }
    try attempts.forEach(after: start) { text.add($0.updated(to: status.newest)) }
    text.end()
  }

  private func only(_ number: UInt64, _ reader: JobReader, _ status: JobStatus) throws -> AttemptRecord {
    guard let record = try reader.store.attempts[number] else {
      throw Failure(
        .missing, "job '\(reader.name)' has no attempt \(number)", path: reader.directory.string,
        hints: ["holdfast history \(reader.argument)  list all attempts"])
    }
    return record.updated(to: status.newest)
  }
}
