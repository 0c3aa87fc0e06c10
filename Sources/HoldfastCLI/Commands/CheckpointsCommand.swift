import ArgumentParser
import Checkpoints
import JobFile
import JobStore
import POSIX
import Reporting
import Supervisor
import SystemPackage

struct CheckpointsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "checkpoints",
    abstract: "List, verify, show and prune a job's checkpoints.",
    subcommands: [
      List.self, Verify.self, Show.self, CheckpointsPrune.self, CheckpointsPush.self, CheckpointsPull.self,
    ], defaultSubcommand: List.self)

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list",
      abstract: "List checkpoints, newest first.",
      discussion: "  holdfast checkpoints list resnet50 --json | jq -r '.checkpoints[].name'")

    @OptionGroup var job: JobOptions
    @OptionGroup var format: JSONOption

    func run() throws {
      let reader = try job.open()
      let status = try JobStatus(reader)
      let output = Output.standard
      if format.json {
        var list = JSONListWriter(
          output, list: "checkpoints",
          members: [
            "format_version": .integer(1), "job": .string(reader.name),
            "staged": status.staged?.json ?? .null,
          ])
        for record in status.checkpoints.reversed() { list.append(reader.examined(record).json) }
        return list.end()
      }
      var text = CheckpointsText(status, output)
      for record in status.checkpoints.reversed() { text.add(reader.examined(record)) }
      text.end()
    }
  }

  struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "verify",
      abstract: "Read checkpoints in full and compare their digests. Exit status 65 if one is damaged.",
      discussion: "  holdfast checkpoints verify resnet50\n  holdfast checkpoints verify resnet50 step-48000")

    @Argument(help: "Name of the job.") var job: String?
    @Argument(help: "Names of checkpoints. Default: all.") var names: [String] = []
    @OptionGroup var place: StateOption
    @OptionGroup var format: JSONOption
    @Flag(name: .shortAndLong, help: "Print only damaged checkpoints.") var quiet = false

    func run() throws {
      let reader = try JobReader.open(
        place.stateDirectory == nil ? job : nil, stateDirectory: place.stateDirectory)
      // With --state-dir, the first word is a checkpoint unless it is the job's name.
      let first = place.stateDirectory != nil && job != reader.name ? job.map { [$0] } ?? [] : []
      let wanted = first + names
      let listed = try reader.store.checkpoints()
      // A checkpoint that is listed but missing is reported as damaged.
      let known = Set(try reader.checkpoints.names() + listed.map(\.name)).sorted()
      for name in wanted where !known.contains(name) { throw noSuchCheckpoint(name, known, reader) }
      let output = Output.standard
      var damaged: [String] = []
      var list =
        !format.json
        ? nil
        : JSONListWriter(
          output, list: "checkpoints", members: ["format_version": .integer(1), "job": .string(reader.name)])
      for name in wanted.isEmpty ? known : wanted {
        let fault = reader.fault(of: name, listed.first { $0.name == name }, thorough: true)
        if fault != nil { damaged.append(name) }
        list?.append(
          .object(["name": .string(name), "verified": .bool(fault == nil), "damage": .optional(fault)]))
        if !format.json, fault != nil || !quiet {
          output.line("\(name)  \(fault.map { "DAMAGED  \($0)" } ?? "verified")")
        }
      }
      list?.end()
      guard let worst = damaged.first else { return }
      throw Failure(
        .damaged,
        "\(Words.count(UInt64(damaged.count), "checkpoint")) damaged: \(damaged.joined(separator: ", "))",
        path: reader.checkpoints.path(of: worst).string,
        hints: [
          "holdfast checkpoints list \(reader.argument)  other checkpoints; a resume skips damaged ones"
        ])
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "show",
      abstract: "Show the contents of a checkpoint.",
      discussion: "  holdfast checkpoints show resnet50 step-48000 --json")

    @Argument(help: "Name of the job and of the checkpoint. Default: the newest checkpoint.") var words:
      [String] = []
    @OptionGroup var place: StateOption
    @OptionGroup var format: JSONOption

    func run() throws {
      let job = place.stateDirectory == nil ? words.first : nil
      let reader = try JobReader.open(job, stateDirectory: place.stateDirectory)
      let rest = job != nil || words.first == reader.name ? words.dropFirst() : words[...]
      let known = try reader.checkpoints.names()
      let records = try reader.store.checkpoints()
      guard let name = rest.first ?? records.last?.name else {
        throw Failure(
          .missing, "job '\(reader.name)' has no checkpoint yet", path: reader.checkpoints.directory.string,
          hints: ["holdfast checkpoint \(reader.argument)  take one now"])
      }
      guard known.contains(name) else { throw noSuchCheckpoint(name, known, reader) }
      guard case .verified(let manifest) = reader.checkpoints.verify(name, thorough: false) else {
        throw Failure(
          .damaged, "checkpoint '\(name)' is damaged", path: reader.checkpoints.path(of: name).string,
          hints: ["holdfast checkpoints verify \(reader.argument) \(name)  show the damage"])
      }
      let output = Output.standard
      if format.json { return output.json(Self.json(name, manifest)) }
      for line in Self.lines(name, manifest, reader) { output.line(line) }
    }

    private static func lines(_ name: String, _ manifest: Manifest, _ reader: JobReader) -> [String] {
      var rows = [
        ["name", name], ["path", reader.checkpoints.path(of: name).string], ["job", manifest.job],
        ["step", Words.number(manifest.step)], ["position", position(manifest)],
        ["samples", Words.number(manifest.samples)],
        ["attempt", Words.number(manifest.attempt)], ["created", manifest.createdAt],
        ["cut", manifest.cutID],
      ]
      rows += manifest.metrics.sorted { $0.key < $1.key }.map { [$0.key, Words.metric($0.value)] }
      rows += manifest.files.map { ["file", "\($0.name)  \(Words.bytes($0.bytes))  sha256 \($0.sha256)"] }
      return TextTable.lines(rows, right: [0])
    }

    /// Without a consumed batch, the position is the end of the previous epoch.
    private static func position(_ manifest: Manifest) -> String {
      guard manifest.batch == 0, manifest.epoch > 0 else {
        return "epoch \(Words.number(manifest.epoch &+ 1)), batch \(Words.number(manifest.batch))"
      }
      return "after \(Words.count(manifest.epoch, "epoch"))"
    }

    private static func json(_ name: String, _ manifest: Manifest) -> JSONValue {
      .object([
        "format_version": .integer(1), "name": .string(name), "job": .string(manifest.job),
        "job_id": .string(manifest.jobID), "step": .count(manifest.step), "epoch": .count(manifest.epoch),
        "batch": .count(manifest.batch), "samples": .count(manifest.samples),
        "attempt": .count(manifest.attempt), "generation": .count(manifest.generation),
        "cut_id": .string(manifest.cutID), "created_at": .string(manifest.createdAt),
        "metrics": .object(manifest.metrics.mapValues(JSONValue.real)),
        "files": .array(
          manifest.files.map {
            .object(["name": .string($0.name), "size_bytes": .count($0.bytes), "sha256": .string($0.sha256)])
          }),
      ])
    }
  }
}

private func noSuchCheckpoint(_ name: String, _ known: [String], _ reader: JobReader) -> Failure {
  let guess = Suggestions.nearest(to: name, among: known)
  return Failure(
    .missing,
    "job '\(reader.name)' has no checkpoint '\(name)'\(guess.map { "; did you mean '\($0)'?" } ?? "")",
    path: reader.checkpoints.directory.string, hints: ["holdfast checkpoints list \(reader.argument)"])
}
