import ArgumentParser
import JobStore
import POSIX
import Reporting
import SystemPackage

struct SnapshotsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "snapshots",
    abstract: "Show the record of each step: position in the data, random streams, metrics.",
    discussion: """
        holdfast snapshots resnet50 --last 20
        holdfast snapshots resnet50 --step 48210
        holdfast snapshots resnet50 --json | jq -r '.snapshots[] | [.step, .metrics.loss] | @tsv'
      """)

  @OptionGroup var job: JobOptions
  @OptionGroup var format: JSONOption
  @Option(help: "Show this step in detail.") var step: UInt64?
  @Option(help: ArgumentHelp("Only so many, the newest.", valueName: "count")) var last: UInt?

  func validate() throws {
    if step != nil, last != nil { throw ValidationError("use --step or --last, not both") }
    if last == 0 { throw ValidationError("--last must be above 0") }
  }

  func run() throws {
    let reader = try job.open()
    let output = Output.standard
    let one = try step.map { number throws in try only(number, reader) }
    let newest = last.map { Int(clamping: $0) }
    if format.json {
      var list = JSONListWriter(
        output, list: "snapshots", members: ["format_version": .integer(1), "job": .string(reader.name)])
      if let one {
        list.append(one.json)
      } else {
        try reader.store.forEachRecordedStep(newest: newest) { list.append($0.json) }
      }
      return list.end()
    }
    var text = SnapshotsText(output)
    if let one { return text.details(one) }
    try reader.store.forEachRecordedStep(newest: newest) { text.add($0) }
    text.end()
  }

  private func only(_ number: UInt64, _ reader: JobReader) throws -> RecordedStep {
    guard let step = try reader.store.recordedStep(number) else {
      throw Failure(
        .missing, "job '\(reader.name)' has no record of step \(number)", path: reader.directory.string,
        hints: ["holdfast snapshots \(reader.argument) --last 20  the newest steps"])
    }
    return step
  }
}
