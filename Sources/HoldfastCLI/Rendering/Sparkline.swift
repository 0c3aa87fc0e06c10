import JobStore
import Supervisor

/// The course of a number in one line.
enum Sparkline {
  static let width = 40

  static func lines(_ store: JobStore, _ status: JobStatus, _ output: Output) throws -> [String] {
    let rows = try store.newestSnapshots(2000)
    guard rows.count > 1, let name = status.metrics.first?.name else { return [] }
    let values = rows.compactMap(\.metrics.first).filter(\.isFinite)
    let steps = zip(rows, rows.dropFirst()).compactMap { before, after in
      after.attempt == before.attempt && after.timeNs > before.timeNs
        ? Double(after.timeNs - before.timeNs) / 1e6 : nil
    }
    var lines = [""]
    if let newest = values.last { lines.append("\(name)  \(Words.metric(newest))  \(line(values, output))") }
    if let newest = steps.last { lines.append("step  \(Words.metric(newest)) ms  \(line(steps, output))") }
    return lines
  }

  /// The greatest of each column, so that a spike is not averaged away.
  static func line(_ values: [Double], _ output: Output) -> String {
    let marks = Array(output.hasUnicode ? "▁▂▃▄▅▆▇█" : "_.-=+*#@")
    guard let low = values.min(), let high = values.max() else { return "" }
    let columns = min(width, values.count)
    return String(
      (0..<columns).map { column in
        let part = values[column * values.count / columns..<(column + 1) * values.count / columns]
        let share = high > low ? ((part.max() ?? low) - low) / (high - low) : 0
        return marks[min(marks.count - 1, Int(share * Double(marks.count)))]
      })
  }
}
