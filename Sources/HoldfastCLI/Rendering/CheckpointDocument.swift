import Checkpoints
import POSIX
import Reporting
import SystemPackage

/// `checkpoints show --json`: everything but the bytes of tensors.
struct CheckpointDocument {
  private let name: String
  private let manifest: Manifest
  private let metrics: [String: Double]
  private let contents: ImageContents

  init(_ name: String, _ manifest: Manifest, _ metrics: [String: Double], _ contents: ImageContents) {
    self.name = name
    self.manifest = manifest
    self.metrics = metrics
    self.contents = contents
  }

  func json(in reader: JobReader) throws(CheckpointError) -> JSONValue {
    .object([
      "format_version": .integer(1), "name": .string(name), "job": .string(manifest.job),
      "path": .string(reader.checkpoints.path(of: name).string),
      "job_id": .string(manifest.jobID), "step": .count(manifest.step), "epoch": .count(manifest.epoch),
      "batch": .count(manifest.batch), "samples": .count(manifest.samples),
      "optimizer_steps": .optional(contents.loop.optimizerSteps),
      "attempt": .count(manifest.attempt), "generation": .count(manifest.generation),
      "cut_id": .string(manifest.cutID), "created_at": .string(manifest.createdAt),
      "weights_only": .bool(manifest.weightsOnly == true),
      "metrics": .object(metrics.mapValues(JSONValue.real)),
      "hyperparameters": .object(manifest.hyperparameters),
      "components": .array(try ComponentSummary.all(contents).map(\.json)),
      "loop_state": .array(contents.loop.parts.map(Self.part)), "values": .array(try values()),
      "tensors": .array(try tensors()),
      "files": .array(
        manifest.files.map(Self.file)),
    ])
  }

  private static func file(_ file: Manifest.File) -> JSONValue {
    let digest = file.digest
    return .object([
      "name": .string(file.name), "size_bytes": .count(file.bytes), "digest": .optional(digest?.hexadecimal),
      "digest_algorithm": .optional(digest?.algorithm.rawValue),
      "sha256": .optional(digest?.algorithm == .sha256 ? digest?.hexadecimal : nil),
    ])
  }

  private static func part(_ part: ImageLoop.Part) -> JSONValue {
    .object([
      "kind": .string(part.kind), "name": .string(part.name), "size_bytes": .count(UInt64(part.bytes.count)),
      "bytes": .string(Base64.encode(part.bytes)),
    ])
  }

  private func tensors() throws(CheckpointError) -> [JSONValue] {
    var tensors: [JSONValue] = []
    try contents.tensors { tensor in
      tensors.append(
        .object([
          "name": .string(tensor.name), "component": .string(tensor.component),
          "dtype": .string(tensor.dtype.rawValue), "shape": .array(tensor.shape.map { .integer(Int64($0)) }),
          "size_bytes": .count(UInt64(tensor.range.count)),
        ]))
    }
    return tensors
  }

  private func values() throws(CheckpointError) -> [JSONValue] {
    let list = ValueList()
    try contents.walk { _ in
    } leaf: { leaf in
      switch leaf.content {
      case .tensor: break
      case .value(let value): list.values.append(.object(["path": .string(leaf.path), "value": value]))
      case .data(let bytes):
        list.values.append(.object(["path": .string(leaf.path), "size_bytes": .count(UInt64(bytes))]))
      }
    }
    return list.values
  }

  private final class ValueList { var values: [JSONValue] = [] }
}

extension ImageLoop {
  /// Steps with a step of the optimizer, from the Python client's own part; nil without one.
  var optimizerSteps: UInt64? {
    guard let part = parts.first(where: { $0.kind == "other" && $0.name == "holdfast" }),
      part.bytes.count >= 8
    else { return nil }
    return part.bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
  }
}
