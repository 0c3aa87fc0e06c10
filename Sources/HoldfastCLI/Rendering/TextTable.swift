import Reporting

/// A table whose rows may come a page at a time: columns are as wide as the widest cell so far.
struct TextTable {
  /// Indices of columns that are aligned to the right.
  let right: Set<Int>
  private var widths: [Int] = []

  init(right: Set<Int> = []) { self.right = right }

  mutating func lines(_ rows: [[String]]) -> [String] {
    // As they will be seen: what is hidden in a cell would move the columns after it.
    let rows = rows.map { $0.map(VisibleText.line) }
    for row in rows {
      for (column, cell) in row.enumerated() {
        if column == widths.count { widths.append(0) }
        widths[column] = max(widths[column], cell.count)
      }
    }
    return rows.map { row in
      var line = ""
      for (column, cell) in row.enumerated() {
        let padding = String(repeating: " ", count: widths[column] - cell.count)
        if right.contains(column) {
          line += padding + cell
        } else {
          line += column == row.count - 1 ? cell : cell + padding
        }
        if column < row.count - 1 { line += "  " }
      }
      return line
    }
  }

  /// Columns as wide as their widest cell; never cut, whatever the width of the window.
  /// - Parameter right: indices of columns that are aligned to the right.
  static func lines(_ rows: [[String]], right: Set<Int> = []) -> [String] {
    var table = TextTable(right: right)
    return table.lines(rows)
  }
}
