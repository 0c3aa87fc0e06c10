import JobStore

/// The attempts of a job on a timeline: a number where each began, a letter where it ended.
enum AttemptTimeline {
  struct Drawing {
    var line: String
    /// Meanings of the letters in the line.
    var legend: String
  }

  /// - Parameters:
  ///   - width: columns of the line.
  ///   - nowNs: where the line ends.
  static func draw(_ attempts: [AttemptRecord], nowNs: UInt64, width: Int, hasUnicode: Bool) -> Drawing? {
    guard let first = attempts.first, width > 2, nowNs > first.startedAtNs else { return nil }
    var cells = [Character](repeating: hasUnicode ? "─" : "-", count: width)
    cells[width - 1] = hasUnicode ? "▶" : ">"
    let span = Double(nowNs - first.startedAtNs)
    func column(_ time: UInt64) -> Int {
      // If the clock jumped, an attempt may have begun after `nowNs`.
      let share = min(1, Double(time - min(time, first.startedAtNs)) / span)
      return min(width - 2, max(0, Int(share * Double(width - 1))))
    }
    for attempt in attempts {
      // A number that does not fit is left out.
      let digits = Array("\(attempt.attempt)")
      let start = column(attempt.startedAtNs)
      if start + digits.count < width { cells.replaceSubrange(start..<start + digits.count, with: digits) }
    }
    var meanings: [(letter: Character, word: String)] = []
    for attempt in attempts {
      guard let end = attempt.endedAtNs else { continue }
      // Placed before the next attempt's number if that is in the same column.
      let wanted = column(end)
      let place = cells[wanted].isNumber ? wanted - 1 : wanted
      guard place > 0, !cells[place].isNumber else { continue }
      cells[place] = attempt.causeLetter
      if !meanings.contains(where: { $0.letter == attempt.causeLetter }) {
        meanings.append((attempt.causeLetter, attempt.causeWord))
      }
    }
    let legend = meanings.filter { cells.contains($0.letter) }.map { "\($0.letter) \($0.word)" }
    return Drawing(line: String(cells), legend: legend.joined(separator: "  "))
  }
}
