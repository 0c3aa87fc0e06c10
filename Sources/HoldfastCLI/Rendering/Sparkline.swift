/// A chart of a series of values in one line.
enum Sparkline {
  /// Shows the maximum of each column, so that spikes are not averaged away.
  /// - Parameter width: maximum number of columns.
  static func line(_ values: [Double], width: Int, hasUnicode: Bool) -> String {
    let marks = Array(hasUnicode ? "▁▂▃▄▅▆▇█" : "_.-=+*#@")
    guard width > 0, let low = values.min(), let high = values.max() else { return "" }
    let columns = min(width, values.count)
    return String(
      (0..<columns).map { column in
        let part = values[column * values.count / columns..<(column + 1) * values.count / columns]
        // Halved, as the difference of the extremes may overflow.
        let share = high > low ? ((part.max() ?? low) / 2 - low / 2) / (high / 2 - low / 2) : 0
        return marks[min(marks.count - 1, Int(share * Double(marks.count)))]
      })
  }
}
