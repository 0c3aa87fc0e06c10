import Checkpoints
import JobStore
import POSIX
import Supervisor

/// `checkpoints list` for people.
enum CheckpointsText {
  static func lines(_ status: JobStatus, _ output: Output) -> [Line] {
    let metric = status.metrics.first?.name
    var rows: [[String]] = []
    if let staged = status.staged, staged.step > status.durable?.step ?? 0 {
      rows.append(
        row(
          name: "(in memory)", step: staged.step, age: staged.atNs.map(status.age), bytes: staged.bytes,
          level: "staged", metric: metric.map { staged.metrics[$0] }, state: "complete", kept: "newest"))
    }
    var kept = 0
    for record in status.checkpoints.reversed() {
      if record.damage == nil { kept += 1 }
      rows.append(
        row(
          name: record.name, step: record.step, age: status.age(record.createdAtNs), bytes: record.bytes,
          level: "durable", metric: metric.map { record.metrics[$0] }, state: status.state(of: record),
          kept: record.damage != nil
            ? "never deleted" : kept > Retention.keptByDefault ? "" : "last \(Retention.keptByDefault)"))
    }
    guard !rows.isEmpty else { return ["no checkpoint yet: holdfast checkpoint \(status.argument)"] }
    let header =
      ["NAME", "STEP", "AGE", "SIZE", "LEVEL"] + (metric.map { [$0.uppercased()] } ?? []) + [
        "STATE", "KEPT AS",
      ]
    var lines = Text.table([header] + rows).map { Line($0) }
    let damaged = status.checkpoints.filter { $0.damage != nil }
    if let newest = damaged.last {
      let verify: Hint = "holdfast checkpoints verify \(status.argument) \(newest.name)"
      lines += [
        "",
        "\(output.paint(output.warningSign, .yellow)) \(damaged.count) damaged, skipped when resuming: \(verify)",
      ]
    }
    return lines
  }

  /// - Parameter metric: nil: there is no such column; nil in it: not known of this one.
  private static func row(
    name: String, step: UInt64, age: String?, bytes: UInt64, level: String, metric: Double??, state: String,
    kept: String
  ) -> [String] {
    [name, "\(step)", age ?? "", Words.bytes(bytes), level]
      + (metric.map { [$0.map(Words.metric) ?? ""] } ?? []) + [state, kept]
  }
}

extension JobStatus {
  func age(_ time: UInt64) -> String { Words.duration(seconds: Double(nowNs - min(nowNs, time)) / 1e9) }

  /// `complete` as it was written, `verified 2 min ago` when it was read since, or `DAMAGED`.
  func state(of record: CheckpointRecord) -> String {
    if record.damage != nil { return "DAMAGED" }
    return record.verifiedAtNs.map { "verified \(age($0)) ago" } ?? "complete"
  }
}
