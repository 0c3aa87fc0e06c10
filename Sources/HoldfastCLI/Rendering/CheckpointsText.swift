import Checkpoints
import JobStore
import POSIX
import Reporting
import Supervision
import Supervisor
import Vocabulary

/// Text output of `checkpoints list`.
struct CheckpointsText {
  private let status: JobStatus
  private let output: Output
  private let metric: String?
  private var table: PagedTable
  private let kept: [String: [Retention.Kept]]
  private var isEmpty = true
  private var damaged = 0
  private var newestDamaged: String?

  init(_ status: JobStatus, _ output: Output) {
    self.status = status
    self.output = output
    metric = status.bestCheckpoints.first?.policy.monitor ?? status.metrics.first?.name
    kept = status.kept
    table = PagedTable(
      output,
      header: ["NAME", status.isAdopted ? "COPY OF" : "STEP", "AGE", "SIZE", "LEVEL"]
        + (metric.map { [$0.uppercased()] } ?? [])
        + ["STATE", "KEPT AS"])
    if let staged = status.staged, staged.step > status.durable?.step ?? 0 {
      isEmpty = false
      table.add(
        Self.row(
          name: "(in memory)", place: "\(staged.step)", age: staged.atNs.map(status.age), bytes: staged.bytes,
          level: Level.staged.rawValue, metric: metric.map { staged.metrics[$0] }, state: "complete",
          kept: "newest"))
    }
  }

  /// Adds the next checkpoint; the newest comes first.
  mutating func add(_ record: CheckpointRecord) {
    isEmpty = false
    if record.damage != nil {
      damaged += 1
      newestDamaged = newestDamaged ?? record.name
    }
    table.add(
      Self.row(
        name: record.name, place: record.adopted?.path ?? "\(record.step)",
        age: status.age(record.createdAtNs), bytes: record.bytes,
        level: record.levelWord, metric: metric.map { record.metrics[$0] },
        state: status.state(of: record) + (record.isWhole ? "" : ", weights only"),
        kept: record.damage != nil ? "never deleted" : Self.keptAs(kept[record.name] ?? [])))
  }

  mutating func end() {
    guard !isEmpty else {
      return output.line("no checkpoint yet: holdfast checkpoint \(status.argument)")
    }
    table.flush()
    if let missing = status.missingCheckpoints {
      output.line("")
      return output.line("\(output.paint(output.warningSign, .yellow)) \(missing)" as Line)
    }
    guard let newestDamaged else { return }
    output.line("")
    let verify: Hint = "holdfast checkpoints verify \(status.argument) \(newestDamaged)"
    let line: Line =
      "\(output.paint(output.warningSign, .yellow)) \(damaged) damaged, skipped when resuming: \(verify)"
    output.line(line)
  }

  /// Being the newest one is a reason only if there is no other.
  private static func keptAs(_ kept: [Retention.Kept]) -> String {
    let others = kept.filter { $0 != .newest }
    return (others.isEmpty ? kept : others).map(\.words).joined(separator: ", ")
  }

  /// - Parameter metric: nil without such a column; contains nil if this checkpoint has no value.
  private static func row(
    name: String, place: String, age: String?, bytes: UInt64, level: String, metric: Double??, state: String,
    kept: String
  ) -> [String] {
    [name, place, age ?? "", Words.bytes(bytes), level]
      + (metric.map { [$0.map(Words.metric) ?? ""] } ?? []) + [state, kept]
  }
}

extension JobStatus {
  func age(_ time: UInt64) -> String { Words.duration(seconds: Double(nowNs - min(nowNs, time)) / 1e9) }

  /// `complete` if it was only written, `verified 2 min ago` if it was read since, `DAMAGED`, or `MISSING`.
  func state(of record: CheckpointRecord) -> String {
    if isWithoutCheckpoints { return "MISSING" }
    if record.damage != nil { return "DAMAGED" }
    return record.verifiedAtNs.map { "verified \(age($0)) ago" } ?? "complete"
  }
}
