import Checkpoints
import POSIX
import Reporting
import SystemPackage

/// `checkpoints show` of a copy of the trainer's own file: all that is known about it.
struct AdoptedText {
  let name: String
  let path: FilePath
  let manifest: Manifest
  let files: AdoptedFiles

  func write(_ output: Output) {
    let contents = files.contents
    var rows = [
      ["name", name], ["path", path.string], ["job", manifest.job],
      ["copy of", "\(contents.path) (\(contents.kind.rawValue))"], ["modified", contents.modifiedAt],
      ["attempt", Words.number(manifest.attempt)], ["created", manifest.createdAt], ["cut", manifest.cutID],
    ]
    rows += entries.map { entry in
      let alias = entry.file.name == entry.path ? "" : " (\(entry.path))"
      return [
        "file",
        "\(entry.file.name)\(alias)  \(Words.bytes(entry.file.bytes))  \(entry.format ?? "unknown format")  "
          + (entry.file.digest.map { "\($0.algorithm.rawValue) \($0.hexadecimal)" } ?? ""),
      ]
    }
    for line in TextTable.lines(rows, right: [0]) { output.line(line) }
  }

  var json: JSONValue {
    let contents = files.contents
    return .object([
      "format_version": .integer(1), "name": .string(name), "job": .string(manifest.job),
      "path": .string(path.string), "job_id": .string(manifest.jobID), "step": .count(manifest.step),
      "attempt": .count(manifest.attempt), "generation": .count(manifest.generation),
      "cut_id": .string(manifest.cutID), "created_at": .string(manifest.createdAt),
      "adopted": .object([
        "path": .string(contents.path), "kind": .string(contents.kind.rawValue),
        "modified_at": .string(contents.modifiedAt), "size_bytes": .count(files.bytes),
      ]),
      "files": .array(
        entries.map { entry in
          .object([
            "name": .string(entry.file.name), "path": .string(entry.path),
            "format": .optional(entry.format), "size_bytes": .count(entry.file.bytes),
            "digest": .optional(entry.file.digest?.hexadecimal),
            "digest_algorithm": .optional(entry.file.digest?.algorithm.rawValue),
          ])
        }),
    ])
  }

  private var entries: [(file: Manifest.File, path: String, format: String?)] {
    let paths = Dictionary(files.contents.files.map { ($0.file, $0.path) }) { first, _ in first }
    return manifest.files.map { file in
      let copied = paths[file.name] ?? file.name
      let opened = try? OpenFile(path.appending(file.name), .readOnly)
      let found = opened.flatMap { try? FileCompleteness(of: $0, named: copied, thorough: false) }
      return (file, copied, found?.format)
    }
  }
}
