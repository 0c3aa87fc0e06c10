/// The course of a number in one line.
enum Sparkline {
  /// The greatest of each column, so that a spike is not averaged away.
  /// - Parameter width: columns at the most.
  static func line(_ values: [Double], width: Int, hasUnicode: Bool) -> String {
    let marks = Array(hasUnicode ? "▁▂▃▄▅▆▇█" : "_.-=+*#@")
    guard width > 0, let low = values.min(), let high = values.max() else { return "" }
    let columns = min(width, values.count)
    return String(
      (0..<columns).map { column in
        let part = values[column * values.count / columns..<(column + 1) * values.count / columns]
        // Halves: from one end of the numbers to the other is further than there are numbers.
        let share = high > low ? ((part.max() ?? low) / 2 - low / 2) / (high / 2 - low / 2) : 0
        return marks[min(marks.count - 1, Int(share * Double(marks.count)))]
      })
  }
}
