import ArgumentParser
import Glibc
import JobFile
import JobStore
import POSIX
import Reporting
import Storage
import Supervisor
import SystemPackage
import TrainerProtocol

struct CheckpointsPull: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pull",
    abstract: "Copy a checkpoint from the remote storage into a directory.",
    discussion: """
      Parts are joined, and every file is compared with its digest. Without a name: the newest. `--list` shows what the \
      storage has. A job that is not on this machine needs --remote.

        holdfast checkpoints pull resnet50 --into .
        holdfast checkpoints pull resnet50 --remote s3:bucket/jobs --list
      """)

  @Argument(help: "Name of the job.") var job: String
  @Argument(help: "Name of the checkpoint. Default: the newest.") var name: String?
  @OptionGroup var format: JSONOption
  @OptionGroup var place: StateOption
  @Option(.remote) var remote: Resolution.Argument?
  @Option(help: ArgumentHelp("Directory to which the checkpoint's directory is copied.", valueName: "dir"))
  var into = "."
  @Flag(help: "List the checkpoints at the remote storage.") var list = false

  func run() throws {
    let record = try? JobReader.open(job, stateDirectory: place.stateDirectory).job
    let remote = try RemoteOption.open(
      self.remote, job: record ?? .init(job: job, id: .init(), createdAtNs: 0, command: []))
    let output = Output.standard
    let found: [StoredCheckpoint]
    do throws(StorageError) {
      found = try remote.storage.list(isCancelled: { false }).checkpointsByStep.reversed()
    } catch {
      throw Failure(storage: error, "cannot list \(remote.storage.name)", nil)
    }
    if list { return show(found, output) }
    guard
      let wanted = found.first(where: {
        name == nil ? $0.fault == nil && !$0.isWeightsOnly : $0.key.name == name || $0.key.text == name
      })
    else {
      let guess = name.flatMap { Suggestions.nearest(to: $0, among: found.map(\.key.name)) }
      throw Failure(
        .missing,
        "\(remote.storage.name) has no checkpoint\(name.map { " '\($0)'" } ?? "")"
          + (guess.map { "; did you mean '\($0)'?" } ?? ""),
        hints: ["\(TypedCommand.adding("--list"))  what is there"])
    }
    let destination = Locations.current.resolve(into).appending(wanted.key.name)
    guard FileKind.of(destination) == nil else {
      throw Failure(
        .cannotCreate, "the destination exists", path: destination.string,
        hints: ["use another directory: --into DIR"])
    }
    let bar = ProgressBar("pull \(wanted.key.name)", isShown: !format.json)
    do throws(StorageError) {
      try remote.storage.load(wanted.key, into: destination, Transfer(progress: { bar.show($0) }))
    } catch {
      bar.end()
      throw Failure(storage: error, "cannot copy \(wanted.key) from \(remote.storage.name)", nil)
    }
    bar.end()
    if format.json {
      return output.json(
        .object([
          "format_version": .integer(1), "name": .string(wanted.key.name), "key": .string(wanted.key.text),
          "path": .string(destination.string), "step": .optional(wanted.step),
        ]))
    }
    if let adopted = wanted.manifest?.adopted {
      return output.line("\(destination): a copy of \(adopted.path)")
    }
    output.line("\(destination): \(wanted.step.map { "step \(Words.number($0))" } ?? "verified")")
  }

  private func show(_ found: [StoredCheckpoint], _ output: Output) {
    if format.json {
      let rows = found.map { one -> JSONValue in
        .object([
          "key": .string(one.key.text), "name": .string(one.key.name), "step": .optional(one.step),
          "size_bytes": .optional(one.bytes), "damage": .optional(one.fault),
          "weights_only": .bool(one.isWeightsOnly), "copy_of": .optional(one.manifest?.adopted?.path),
        ])
      }
      return output.json(.object(["format_version": .integer(1), "checkpoints": .array(rows)]))
    }
    guard !found.isEmpty else { return output.line("no checkpoint there") }
    let rows = found.map { one in
      [
        one.key.text, one.manifest?.adopted?.path ?? one.step.map { "\($0)" } ?? "",
        one.bytes.map { Words.bytes($0) } ?? "",
        one.fault.map { "DAMAGED  \($0)" } ?? (one.isWeightsOnly ? "complete, weights only" : "complete"),
      ]
    }
    let place = found.contains { $0.manifest?.adopted != nil } ? "COPY OF" : "STEP"
    for line in TextTable.lines([["KEY", place, "SIZE", "STATE"]] + rows) { output.line(line) }
  }
}
