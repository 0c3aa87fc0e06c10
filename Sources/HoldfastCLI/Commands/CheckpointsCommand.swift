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
    abstract: "List, verify, show, copy and prune a job's checkpoints.",
    subcommands: [
      List.self, Verify.self, CheckpointsShow.self, CheckpointsExport.self, CheckpointsPrune.self,
      CheckpointsPush.self, CheckpointsPull.self,
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
      // Before everything else, so that it is done meanwhile.
      let sizes = CheckpointSizes(reader.checkpoints.directory)
      let status = try JobStatus(reader)
      let records = status.checkpoints.reversed().lazy.enumerated().map { index, record in
        reader.examined(record, by: index < Self.examinedCount ? nil : sizes)
      }
      let output = Output.standard
      if format.json {
        var list = JSONListWriter(
          output, list: "checkpoints",
          members: [
            "format_version": .integer(1), "job": .string(reader.name),
            "staged": status.staged?.json ?? .null,
          ])
        for record in records { list.append(record.json) }
        return list.end()
      }
      var text = CheckpointsText(status, output)
      for record in records { text.add(record) }
      text.end()
    }

    /// Number of checkpoints whose manifests are read: for thousands, that would take seconds.
    private static let examinedCount = 100
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
      let (reader, wanted) = try JobReader.open(
        [job].compactMap(\.self) + names, stateDirectory: place.stateDirectory)
      let listed = try reader.store.checkpoints()
      // A checkpoint that is listed but missing is reported as damaged.
      let known = Set(try reader.checkpoints.names() + listed.map(\.name)).sorted()
      for name in wanted where !known.contains(name) { throw reader.noSuchCheckpoint(name, known) }
      let output = Output.standard
      var damaged: [String] = []
      var list =
        !format.json
        ? nil
        : JSONListWriter(
          output, list: "checkpoints", members: ["format_version": .integer(1), "job": .string(reader.name)])
      for name in wanted.isEmpty ? known : wanted {
        let record = listed.first { $0.name == name }
        let fault = reader.fault(of: name, record, thorough: true)
        if fault != nil { damaged.append(name) }
        list?.append(
          .object([
            "name": .string(name), "verified": .bool(fault == nil), "damage": .optional(fault),
            "weights_only": .bool(record?.isWhole == false),
          ]))
        list?.flush()
        let kind = record?.isWhole == false ? "  weights only" : ""
        if !format.json, fault != nil || !quiet {
          output.line("\(name)  \(fault.map { "DAMAGED  \($0)" } ?? "verified")\(kind)")
        }
      }
      list?.end()
      guard let worst = damaged.first else { return }
      if reader.isWithout(listed) {
        throw Failure(
          .damaged, "the checkpoints are missing; is their filesystem mounted?",
          path: reader.checkpoints.directory.string,
          hints: ["findmnt -T \(reader.checkpoints.directory)  what is mounted there"])
      }
      throw Failure(
        .damaged,
        "\(Words.count(UInt64(damaged.count), "checkpoint")) damaged: \(damaged.joined(separator: ", "))",
        path: reader.checkpoints.path(of: worst).string,
        hints: [
          "holdfast checkpoints list \(reader.argument)  other checkpoints; a resume skips damaged ones"
        ])
    }
  }
}
