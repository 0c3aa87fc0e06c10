import Checkpoints
import POSIX
import Reporting
import SystemPackage

/// Text output of `checkpoints show`, in memory that does not grow with the number of tensors.
struct CheckpointText {
  static let defaultLimit: UInt64 = 20

  let name: String
  let manifest: Manifest
  let metrics: [String: Double]
  let contents: ImageContents
  let reader: JobReader
  let output: Output
  /// nil: all.
  let tensorLimit: UInt64?
  let valueLimit: UInt64?

  func write() throws(CheckpointError) {
    for line in TextTable.lines(summary, right: [0]) { output.line(line) }
    section("Metrics", metrics.sorted { $0.key < $1.key }.map { [$0.key, Words.metric($0.value)] })
    section(
      "Hyperparameters",
      manifest.hyperparameters.sorted { $0.key < $1.key }.map { [$0.key, Self.short($0.value)] })
    let components = try ComponentSummary.all(contents)
    section(
      "Components",
      components.flatMap { component in
        [Self.row(component, component.name)] + component.parts.map { Self.row($0, "  \($0.title)") }
      })
    section("Loop state", contents.loop.parts.map(Self.row))
    try writeValues(count: components.reduce(0) { $0 &+ $1.values })
    try writeTensors(
      count: components.reduce(0) { $0 &+ $1.tensors }, bytes: components.reduce(0) { $0 &+ $1.tensorBytes })
  }

  // MARK: Short tables

  private var summary: [[String]] {
    var rows = [
      ["name", name], ["path", reader.checkpoints.path(of: name).string], ["job", manifest.job],
      ["step", Words.number(manifest.step)], ["position", position],
      ["samples", Words.number(manifest.samples)],
    ]
    if manifest.weightsOnly == true {
      rows.append(["contents", "weights only: no attempt starts from it"])
    }
    if let steps = contents.loop.optimizerSteps { rows.append(["optimizer steps", Words.number(steps)]) }
    rows += [
      ["attempt", Words.number(manifest.attempt)], ["created", manifest.createdAt], ["cut", manifest.cutID],
    ]
    return rows
      + manifest.files.map { file in
        let digest = file.digest.map { "  \($0.algorithm.rawValue) \($0.hexadecimal)" } ?? ""
        return ["file", "\(file.name)  \(Words.bytes(file.bytes))\(digest)"]
      }
  }

  /// Without a consumed batch, the position is the end of the previous epoch.
  private var position: String {
    guard manifest.batch == 0, manifest.epoch > 0 else {
      return "epoch \(Words.number(manifest.epoch &+ 1)), batch \(Words.number(manifest.batch))"
    }
    return "after \(Words.count(manifest.epoch, "epoch"))"
  }

  private func heading(_ title: String, _ note: String? = nil) {
    output.line("")
    output.line(output.paint(title, .bold))
    if let note { output.line("  \(note)") }
  }

  private func section(_ title: String, _ rows: [[String]]) {
    if rows.isEmpty { return }
    heading(title)
    for line in TextTable.lines(rows) { output.line("  \(line)") }
  }

  private static func row(_ component: ComponentSummary, _ name: String) -> [String] {
    let tensors = component.tensors > 0 ? Words.count(component.tensors, "tensor") : ""
    let bytes = component.tensors > 0 ? Words.bytes(component.tensorBytes) : ""
    let row = [name, tensors, bytes]
    return component.values > 0 ? row + [Words.count(component.values, "value")] : row
  }

  private static func row(_ part: ImageLoop.Part) -> [String] {
    let kinds = ["rng": "random stream", "sampler": "sampler"]
    return [kinds[part.kind] ?? part.kind, part.name, Words.bytes(UInt64(part.bytes.count))]
  }

  private static let longestValue = 56

  private static func short(_ value: JSONValue) -> String {
    let text = if case .string(let text) = value { text } else { value.text() }
    return text.count > longestValue ? text.prefix(longestValue - 3) + "..." : text
  }

  // MARK: Long tables

  private var argument: Hint { "\(reader.argument) \(name)" }

  /// A line for the heading of a table that is not complete.
  private func note(_ shown: UInt64, of count: UInt64, _ option: String) -> String? {
    guard count > shown else { return nil }
    return "first \(shown) of \(Words.number(count)); all: holdfast checkpoints show \(argument) \(option)"
  }

  private func writeValues(count: UInt64) throws(CheckpointError) {
    if count == 0 { return }
    let limit = valueLimit ?? count
    heading("Values", note(min(limit, count), of: count, "--all"))
    // Not aligned: a path may be longer than a line.
    let rows = Rows(output, limit: limit)
    try contents.walk { _ in
    } leaf: { leaf in
      switch leaf.content {
      case .tensor: break
      case .value(let value): rows.add(["  \(leaf.path) = \(Self.short(value))"])
      case .data(let bytes): rows.add(["  \(leaf.path) = \(Words.bytes(UInt64(bytes))) of data"])
      }
    }
    rows.end()
  }

  /// Names come last: they are of any length.
  private func writeTensors(count: UInt64, bytes: UInt64) throws(CheckpointError) {
    if count == 0 { return }
    let limit = tensorLimit ?? count
    heading("Tensors", note(min(limit, count), of: count, "--tensors"))
    let rows = Rows(output, header: ["", "DTYPE", "SHAPE", "BYTES", "NAME"], limit: limit, right: [3])
    try contents.tensors { tensor in
      let shape = "[\(tensor.shape.map(String.init).joined(separator: ", "))]"
      rows.add(["", tensor.dtype.rawValue, shape, "\(tensor.range.count)", tensor.name])
    }
    rows.end()
    output.line("  \(Words.count(count, "tensor")), \(Words.bytes(bytes))")
  }

  private final class Rows {
    private var table: PagedTable
    private var left: UInt64

    init(_ output: Output, header: [String]? = nil, limit: UInt64, right: Set<Int> = []) {
      table = PagedTable(output, header: header, right: right)
      left = limit
    }

    func add(_ row: [String]) {
      guard left > 0 else { return }
      left -= 1
      table.add(row)
    }

    func end() { table.flush() }
  }
}
