import JobStore
import POSIX
import Supervisor
import TrainerProtocol

/// `snapshots` for people.
struct SnapshotsText {
  /// So many steps are formatted at a time.
  private static let pageRows = 256

  private let output: Output
  private var table = GrowingTable(right: [0, 1, 2, 3])
  private var rows = [
    ["STEP", "EPOCH", "BATCH", "SAMPLES", "TIME", "ATTEMPT", "STREAMS", "SAMPLERS", "METRICS"]
  ]
  private var count: UInt64 = 0

  init(_ output: Output) { self.output = output }

  mutating func add(_ step: RecordedStep) {
    let row = step.row
    rows.append([
      Words.number(row.step), Words.number(row.epoch &+ 1), Words.number(row.batch),
      Words.number(row.samples),
      Text.clock(row.timeNs), "\(row.attempt)", Self.hexadecimal(row.rngDigest),
      Self.hexadecimal(row.samplerDigest),
      step.metrics.map { "\($0.name) \(Words.metric($0.value))" }.joined(separator: ", "),
    ])
    count += 1
    if rows.count >= Self.pageRows { flush() }
  }

  private mutating func flush() {
    for line in table.lines(rows) { output.line(line) }
    rows = []
  }

  mutating func end() {
    flush()
    output.line("")
    output.line(Words.count(count, "step"))
  }

  func details(_ step: RecordedStep) {
    let row = step.row
    output.line("Step \(Words.number(row.step)), attempt \(row.attempt), \(Text.date(row.timeNs))")
    output.line("")
    var lines = [
      ["epoch", Words.number(row.epoch &+ 1)], ["batch", Words.number(row.batch)],
      ["samples", Words.number(row.samples)], ["phase", row.phaseName],
    ]
    for part in step.parts { lines.append([part.title, String(part.digest, radix: 16).leftPadded(8)]) }
    if step.parts.isEmpty {
      lines.append(["random streams", Self.hexadecimal(row.rngDigest)])
      lines.append(["samplers", Self.hexadecimal(row.samplerDigest)])
    }
    for (name, value) in step.metrics { lines.append([name, Words.metric(value)]) }
    var table = GrowingTable()
    for line in table.lines(lines) { output.line(line) }
  }

  private static func hexadecimal(_ digest: UInt64) -> String { String(digest, radix: 16).leftPadded(16) }
}

extension RecordedStep.Part {
  /// `random stream dropout`
  fileprivate var title: String {
    switch kind {
    case .rng: "random stream \(name)"
    case .sampler: "sampler \(name)"
    case .other, nil: "part \(name)"
    }
  }
}

extension SnapshotRow {
  var phaseName: String {
    switch LoopState.Phase(rawValue: phase) {
    case .training: "training"
    case .validation: "validation"
    case .other, nil: "other"
    }
  }
}

extension String {
  fileprivate func leftPadded(_ width: Int) -> String {
    String(repeating: "0", count: max(0, width - count)) + self
  }
}

extension RecordedStep {
  var json: JSONValue {
    func hexadecimal(_ digest: some FixedWidthInteger, _ width: Int) -> JSONValue {
      .string(String(digest, radix: 16).leftPadded(width))
    }
    return .object([
      "step": .integer(Int64(clamping: row.step)), "epoch": .integer(Int64(clamping: row.epoch)),
      "batch": .integer(Int64(clamping: row.batch)), "samples": .integer(Int64(clamping: row.samples)),
      "phase": .string(row.phaseName), "attempt": .integer(Int64(clamping: row.attempt)),
      "time": .string(Timestamp.text(row.timeNs)),
      "random_streams_digest": hexadecimal(row.rngDigest, 16),
      "samplers_digest": hexadecimal(row.samplerDigest, 16),
      "parts": .array(
        parts.map { part in
          .object([
            "kind": .optional(part.kind.map { $0 == .rng ? "rng" : $0 == .sampler ? "sampler" : "other" }),
            "name": .string(part.name), "digest": hexadecimal(part.digest, 8),
          ])
        }),
      "metrics": .object(Dictionary(metrics.map { ($0.name, .real($0.value)) }) { first, _ in first }),
    ])
  }
}
