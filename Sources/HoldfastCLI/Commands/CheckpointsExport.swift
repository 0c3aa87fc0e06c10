import ArgumentParser
import Checkpoints
import Glibc
import JobStore
import POSIX
import Reporting
import SystemPackage

struct CheckpointsExport: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Write a checkpoint into one file for other programs.",
    discussion: """
        holdfast checkpoints export resnet50 step-48000 weights.safetensors --weights-only
        holdfast checkpoints export resnet50 step-48000 model.ckpt --format torch

      Safetensors: a file with all tensors, which any program can open. torch: a file for
      torch.load(PATH, weights_only=True); of a Lightning job a checkpoint for Trainer.fit(ckpt_path=PATH)
      and load_from_checkpoint(PATH). It is written by the Python client in the job's own Python.
      """)

  enum Format: String, ExpressibleByArgument, CaseIterable { case safetensors, torch }

  @Argument(help: "Name of the job, name of the checkpoint, and path of the file.") var words: [String] = []
  @Flag(help: "Only components that consist of tensors alone, such as a model.") var weightsOnly = false
  @Option(name: .customLong("format"), help: ArgumentHelp("safetensors or torch.", valueName: "format"))
  var fileFormat = Format.safetensors
  @Flag(help: "Replace an existing file.") var force = false
  @Option(
    help: ArgumentHelp(
      "Python with holdfast and torch, for --format torch. Default: the job's, or python3.",
      valueName: "program")) var python: String?
  @OptionGroup var place: StateOption
  @OptionGroup var format: JSONOption

  func run() throws {
    let (reader, rest) = try JobReader.open(words, stateDirectory: place.stateDirectory)
    guard rest.count == 2, let last = rest.last, !last.isEmpty else {
      throw Failure(
        .usage, "expected a job, a checkpoint and a file",
        hints: [
          "holdfast checkpoints export JOB CHECKPOINT FILE", "holdfast checkpoints list \(reader.argument)",
        ])
    }
    guard !FilePath(last).isURL else {
      throw Failure(
        .usage, "'\(last)' is a URL; the file must be on this machine",
        hints: ["holdfast checkpoints export \(reader.argument) \(rest[0]) FILE"])
    }
    let target = Locations.current.resolve(last)
    let (name, checkpoint) = try reader.checkpoint(rest[0])
    if let manifest = reader.checkpoints.verify(name, thorough: false).manifest,
      let file = manifest.adopted?.files.first
    {
      throw Failure(
        .usage, "'\(name)' is a copy of the trainer's own file, which cannot be converted",
        path: checkpoint.string, hints: ["cp \(checkpoint.appending(file.file)) \(target)"])
    }
    if !force, FileKind.of(target) != nil { throw exists(target) }
    switch fileFormat {
    case .safetensors: try writeTensors(name, reader, target)
    case .torch: try writeTorch(name, checkpoint, reader, target)
    }
  }

  private func exists(_ target: FilePath) -> Failure {
    Failure(
      .cannotCreate, "the file already exists", path: target.string,
      hints: ["ls -l \(target)  replace it with --force, or name another"])
  }

  // MARK: Safetensors

  private func writeTensors(_ name: String, _ reader: JobReader, _ target: FilePath) throws {
    do throws(CheckpointError) {
      let loaded = try reader.checkpoints.load(name, thorough: true)
      try loaded.withImage { image throws(CheckpointError) in
        let export = try TensorExport(image, weightsOnly: weightsOnly)
        let hyperparameters = JSONValue.object(loaded.manifest.hyperparameters).text(escaping: .required)
        let size = try export.write(
          to: target,
          metadata: [
            // The value of torch's files, which some programs require.
            "format": "pt", "job": loaded.manifest.job, "step": "\(loaded.manifest.step)",
            "hyper_parameters": hyperparameters,
          ], replacing: force, isIntact: { loaded.isIntact })
        report(name, target, size: UInt64(size), contents: Words.count(UInt64(export.count), "tensor"))
      }
    } catch {
      switch error.code {
      case .exists: throw exists(target)
      case .damaged, .newerVersion, .unsupported: throw reader.damagedCheckpoint(name, error)
      default: throw error
      }
    }
  }

  private func report(_ name: String, _ target: FilePath, size: UInt64, contents: String) {
    let output = Output.standard
    if format.json {
      return output.json(
        .object([
          "format_version": .integer(1), "name": .string(name), "path": .string(target.string),
          "format": .string(fileFormat.rawValue), "weights_only": .bool(weightsOnly),
          "size_bytes": .count(size),
        ]))
    }
    output.line("\(name) exported to \(target.string): \(contents), \(Words.bytes(size))")
  }

  // MARK: torch

  private func writeTorch(
    _ name: String, _ checkpoint: FilePath, _ reader: JobReader, _ target: FilePath
  ) throws {
    var arguments = [checkpoint.string, target.string]
    if weightsOnly { arguments.append("--weights-only") }
    if force { arguments.append("--force") }
    let exporter = PythonExporter(named: python, recorded: reader.job.interpreter)
    let result = try exporter.run(arguments)
    if let text = result["error"]?.string {
      throw Failure(
        ExitStatus(rawValue: Int32(clamping: result["exit_code"]?.count ?? 70)) ?? .internal, text,
        path: result["where"]?.string, hints: result["hint"]?.string.map { [Hint(stringLiteral: $0)] } ?? [])
    }
    for path in result["as_text"]?.array ?? [] {
      Output.standardError([
        "warning: '\(path.string ?? "")' was written as text: a file for weights_only=True cannot contain its type"
      ])
    }
    let contents = [
      "lightning": "a checkpoint of Lightning", "weights": "weights", "states": "all components",
    ]
    report(
      name, target, size: result["size_bytes"]?.counter ?? 0,
      contents: contents[result["contents"]?.string ?? ""] ?? "")
  }
}
