import JobStore
import POSIX
import Reporting
import Supervisor
import TrainerProtocol

/// Text output of `snapshots`.
struct SnapshotsText {
  private let output: Output
  private var table: PagedTable
  private var count: UInt64 = 0

  init(_ output: Output) {
    self.output = output
    table = PagedTable(
      output,
      header: ["STEP", "EPOCH", "BATCH", "SAMPLES", "TIME", "ATTEMPT", "STREAMS", "SAMPLERS", "METRICS"],
      right: [0, 1, 2, 3])
  }

  mutating func add(_ step: RecordedStep) {
    let row = step.row
    table.add([
      Words.number(row.step), Words.number(row.epoch &+ 1), Words.number(row.batch),
      Words.number(row.samples),
      LocalTime.clock(row.timeNs), "\(row.attempt)", row.rngDigest.hexadecimal, row.samplerDigest.hexadecimal,
      step.metrics.map { "\($0.name) \(Words.metric($0.value))" }.joined(separator: ", "),
    ])
    count += 1
  }

  mutating func end() {
    table.flush()
    output.line("")
    output.line(Words.count(count, "step"))
  }

  func details(_ step: RecordedStep) {
    let row = step.row
    output.line("Step \(Words.number(row.step)), attempt \(row.attempt), \(LocalTime.date(row.timeNs))")
    output.line("")
    var lines = [
      ["epoch", Words.number(row.epoch &+ 1)], ["batch", Words.number(row.batch)],
      ["samples", Words.number(row.samples)], ["phase", row.phaseName],
    ]
    for part in step.parts { lines.append([part.title, part.digest.hexadecimal]) }
    if step.parts.isEmpty {
      lines.append(["random streams", row.rngDigest.hexadecimal])
      lines.append(["samplers", row.samplerDigest.hexadecimal])
    }
    for (name, value) in step.metrics { lines.append([name, Words.metric(value)]) }
    var table = TextTable()
    for line in table.lines(lines) { output.line(line) }
  }
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

extension RecordedStep {
  var json: JSONValue {
    .object([
      "step": .integer(Int64(clamping: row.step)), "epoch": .integer(Int64(clamping: row.epoch)),
      "batch": .integer(Int64(clamping: row.batch)), "samples": .integer(Int64(clamping: row.samples)),
      "phase": .string(row.phaseName), "attempt": .integer(Int64(clamping: row.attempt)),
      "time": .string(Timestamp.text(row.timeNs)),
      "random_streams_digest": .string(row.rngDigest.hexadecimal),
      "samplers_digest": .string(row.samplerDigest.hexadecimal),
      "parts": .array(
        parts.map { part in
          .object([
            "kind": .optional(part.kind.map { $0 == .rng ? "rng" : $0 == .sampler ? "sampler" : "other" }),
            "name": .string(part.name), "digest": .string(part.digest.hexadecimal),
          ])
        }),
      "metrics": .object(Dictionary(metrics.map { ($0.name, .real($0.value)) }) { first, _ in first }),
    ])
  }
}
