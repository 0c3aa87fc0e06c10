import Glibc
import POSIX
import Reporting

/// Times of day and tables for people.
enum Text {
  private static func local(_ nanoseconds: UInt64) -> tm {
    var seconds = time_t(nanoseconds / 1_000_000_000)
    var parts = tm()
    localtime_r(&seconds, &parts)
    return parts
  }

  private static func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }

  /// `14:02:45`, local time.
  static func clock(_ nanoseconds: UInt64) -> String {
    let parts = local(nanoseconds)
    return "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
  }

  /// `14:02:45` so many seconds after `nanoseconds`; with the date where that is another day.
  static func clock(_ nanoseconds: UInt64, after seconds: Double) -> String {
    let (time, overflow) = nanoseconds.addingReportingOverflow(UInt64(min(max(0, seconds), 1e9) * 1e9))
    guard !overflow else { return "never" }
    return seconds < 86_400 ? clock(time) : date(time)
  }

  /// `Nov 23 14:02`, local time.
  static func date(_ nanoseconds: UInt64) -> String {
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    let parts = local(nanoseconds)
    return "\(months[Int(parts.tm_mon)]) \(two(parts.tm_mday)) \(two(parts.tm_hour)):\(two(parts.tm_min))"
  }

  /// A text of several lines, none of which can be taken for a line of ours.
  /// - Parameters:
  ///   - indent: before its first line,
  ///   - further: before each other one.
  static func indented(_ text: String, by indent: String, further: String) -> [String] {
    var lines = VisibleText.lines(text)
    if lines.count > 1, lines.last == "" { lines.removeLast() }
    return lines.enumerated().map { ($0 == 0 ? indent : further) + $1 }
  }

  /// Columns as wide as their widest cell; never cut, whatever the width of the window.
  /// - Parameter right: indices of columns that are aligned to the right.
  static func table(_ rows: [[String]], right: Set<Int> = []) -> [String] {
    var table = GrowingTable(right: right)
    return table.lines(rows)
  }
}

/// A table whose rows come a page at a time: columns are as wide as the widest cell so far.
struct GrowingTable {
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
}
