import ArgumentParser
import Checkpoints
import Glibc
import JobStore
import POSIX
import Reporting
import SystemPackage

struct CheckpointsShow: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "Show the contents of a checkpoint.",
    discussion: """
        holdfast checkpoints show resnet50 step-48000
        holdfast checkpoints show resnet50 step-48000 --tensors
        holdfast checkpoints show resnet50 --json | jq '.hyperparameters'
      """)

  @Argument(help: "Name of the job and of the checkpoint. Default: the newest checkpoint.") var words:
    [String] = []
  @Flag(help: "Print all tensors, not only the first.") var tensors = false
  @Flag(help: "Print all tensors and all other values.") var all = false
  @OptionGroup var place: StateOption
  @OptionGroup var format: JSONOption

  func run() throws {
    let (reader, rest) = try JobReader.open(words, stateDirectory: place.stateDirectory)
    guard rest.count <= 1 else {
      throw Failure(
        .usage, "unexpected argument '\(rest[1])'",
        hints: ["holdfast checkpoints show \(reader.argument) \(rest[0])"])
    }
    let (name, path) = try reader.checkpoint(rest.first)
    if let manifest = reader.checkpoints.verify(name, thorough: false).manifest,
      let files = AdoptedFiles(manifest, in: path)
    {
      let text = AdoptedText(name: name, path: path, manifest: manifest, files: files)
      return format.json ? Output.standard.json(text.json) : text.write(Output.standard)
    }
    do throws(CheckpointError) {
      let loaded = try reader.checkpoints.load(name)
      try loaded.withImage { image throws(CheckpointError) in
        let contents = try ImageContents(image)
        let output = Output.standard
        let metrics = reader.metrics(of: name, loaded.manifest)
        if format.json {
          output.json(try CheckpointDocument(name, loaded.manifest, metrics, contents).json(in: reader))
        } else {
          try CheckpointText(
            name: name, manifest: loaded.manifest, metrics: metrics, contents: contents, reader: reader,
            output: output,
            tensorLimit: tensors || all ? nil : CheckpointText.defaultLimit,
            valueLimit: all ? nil : CheckpointText.defaultLimit
          ).write()
        }
      }
      guard loaded.isIntact else {
        throw CheckpointError(.damaged, "the state was truncated while it was read")
      }
    } catch {
      throw reader.damagedCheckpoint(name, error)
    }
  }
}
