import Glibc
import JobStore
import POSIX
import Reporting
import Supervisor

/// One screen of `status --watch`, limited to the size of the window.
struct WatchScreen {
  /// More attempts do not fit into a line.
  static let attemptCount = 200

  let status: JobStatus
  /// The newest, oldest first.
  let attempts: [AttemptRecord]
  /// Samples of the whole run.
  let run: [SnapshotRow]
  /// The newest steps, without gaps.
  let recent: [SnapshotRow]
  let output: Output
  let size: Terminal.Size

  private var unicode: Bool { output.hasUnicode }
  private static let labelWidth = 9

  var lines: [String] {
    var lines = [headline]
    lines += steps + metric + stepTime + timeline + levels
    if let goodput { lines.append(label("goodput") + goodput) }
    if let memory { lines.append(label("memory") + memory) }
    for reason in status.degraded { lines.append("\(output.warningSign) \(reason)") }
    for event in status.events.reversed().prefix(3) {
      lines.append("\(LocalTime.clock(event.timeNs)) \(event.message)")
    }
    // Filling the last row would scroll the terminal.
    return Array(lines.prefix(max(1, size.rows - 1)))
  }

  private func label(_ name: String) -> String {
    name + String(repeating: " ", count: max(1, Self.labelWidth - name.count))
  }

  private var indent: String { String(repeating: " ", count: Self.labelWidth) }

  private var headline: String {
    let left =
      "\(status.name)  \(status.state.words)\(status.attempts.newest.map { "  attempt \($0.attempt)" } ?? "")"
    let right = "\(LocalTime.clock(status.nowNs))  every 2 s  q quit"
    let gap = min(size.columns, 80) - left.count - right.count
    return left + String(repeating: " ", count: max(2, gap)) + right
  }

  private var steps: [String] {
    guard let step = status.job.finishedStep ?? status.newest?.step else {
      return [label("steps") + "none yet"]
    }
    var text = Words.number(step)
    var lines: [String] = []
    if let total = status.job.totalSteps, total > 0 {
      let share = min(1, Double(step) / Double(total))
      let width = max(10, min(66, size.columns - Self.labelWidth - 3))
      let full = Int(share * Double(width))
      lines.append(
        label("steps") + "[" + String(repeating: "#", count: full)
          + String(repeating: ".", count: width - full) + "]")
      text += " of \(Words.number(total))  \(Words.percent(share))"
    }
    if let rate = status.stepsPerSecond { text += "   \(Words.metric(rate))/s" }
    if let left = status.secondsLeft {
      text +=
        "   ETA \(LocalTime.clock(status.nowNs, after: left).prefix(5)) (\(Words.duration(seconds: left)))"
    }
    lines.append((lines.isEmpty ? label("steps") : indent) + text)
    if let silence = status.silence, !status.degraded.contains(silence) {
      lines.append("\(indent)\(silence)")
    }
    return lines
  }

  private var metric: [String] {
    guard let name = status.metrics.first?.name, let newest = status.metrics.first?.value else { return [] }
    let points = run.compactMap { row in row.metrics.first.map { (step: row.step, value: $0) } }
      .filter { $0.value.isFinite }
    var text = Words.metric(newest)
    let low = points.min { $0.value < $1.value }
    let tail = low.map { "   min \(Words.metric($0.value)) at \(Words.number($0.step))" } ?? ""
    text += "  \(spark(points.map(\.value), beside: text.count + tail.count))\(tail)"
    return [label(String(VisibleText.line(name).prefix(Self.labelWidth - 1))) + text]
  }

  private var stepTime: [String] {
    let times = zip(recent, recent.dropFirst()).compactMap { before, after in
      after.attempt == before.attempt && after.timeNs > before.timeNs && after.step > before.step
        ? Double(after.timeNs - before.timeNs) / 1e9 / Double(after.step - before.step) : nil
    }
    guard let newest = times.last else { return [] }
    let sorted = times.sorted()
    func quantile(_ share: Double) -> String {
      Words.duration(seconds: sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))])
    }
    let text = Words.duration(seconds: newest)
    let tail = "   p50 \(quantile(0.5))  p99 \(quantile(0.99))"
    return [label("step") + "\(text)  \(spark(times, beside: text.count + tail.count))\(tail)"]
  }

  private func spark(_ values: [Double], beside used: Int) -> String {
    let room = min(40, size.columns - Self.labelWidth - used - 3)
    return Sparkline.line(values, width: room, hasUnicode: unicode)
  }

  private var timeline: [String] {
    guard let first = attempts.first else { return [] }
    let end =
      status.isSupervised ? status.nowNs : attempts.compactMap(\.endedAtNs).max() ?? status.nowNs
    let from = LocalTime.clock(first.startedAtNs).prefix(5)
    let to = LocalTime.clock(end).prefix(5)
    let width = min(60, size.columns - Self.labelWidth - from.count - to.count - 3)
    guard
      let drawing = AttemptTimeline.draw(attempts, nowNs: end, width: width, hasUnicode: unicode)
    else { return [] }
    let lines = [label("attempts") + "\(from) \(drawing.line) \(to)"]
    return drawing.legend.isEmpty ? lines : lines + [indent + drawing.legend]
  }

  private static func place(of record: CheckpointRecord) -> String {
    record.adopted?.path ?? Words.number(record.step)
  }

  private var levels: [String] {
    var rows: [[String]] = []
    if let staged = status.staged {
      rows.append(["staged", Words.number(staged.step), staged.atNs.map(status.age) ?? "", ""])
    }
    if let durable = status.durable {
      rows.append(
        ["durable", Self.place(of: durable), status.age(durable.createdAtNs), status.state(of: durable)])
    }
    if status.job.remote != nil {
      rows.append(
        status.replicated.map {
          ["replicated", Self.place(of: $0), status.age($0.createdAtNs), "verified there"]
        } ?? ["replicated", "-", "", "none yet"])
    }
    if rows.isEmpty { rows = [["no checkpoint yet"]] }
    return TextTable.lines(rows, right: [1]).enumerated().map { ($0 == 0 ? label("levels") : indent) + $1 }
  }

  private var goodput: String? {
    let spent = status.timeSpent
    guard let goodput = spent.goodput else { return nil }
    let losses = JobStatus.losses(spent).map { "\($0.name) \(Words.percent($0.share))" }
    return ([Words.percent(goodput)] + losses).joined(separator: "   ")
  }

  private var memory: String? {
    guard status.isSupervised, let live = status.live else { return nil }
    var parts: [String] = []
    if let pid = live.trainerPid, let bytes = ProcessTable.residentBytes(of: pid) {
      parts.append("trainer \(Words.bytes(bytes))")
    }
    if let bytes = ProcessTable.residentBytes(of: live.pid) {
      parts.append("supervisor \(Words.bytes(bytes))")
    }
    parts.append("ring \(Words.number(status.totals.skippedRecords)) skipped")
    return parts.joined(separator: "   ")
  }
}
