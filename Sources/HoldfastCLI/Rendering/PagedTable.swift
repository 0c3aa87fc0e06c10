/// A table of any length, printed page by page.
struct PagedTable {
  private static let pageRows = 256

  private let output: Output
  private var table: TextTable
  private var rows: [[String]]

  /// - Parameter right: indices of columns that are aligned to the right.
  init(_ output: Output, header: [String]?, right: Set<Int> = []) {
    self.output = output
    table = TextTable(right: right)
    rows = header.map { [$0] } ?? []
  }

  mutating func add(_ row: [String]) {
    rows.append(row)
    if rows.count >= Self.pageRows { flush() }
  }

  /// Prints the remaining rows.
  mutating func flush() {
    output.lines(table.lines(rows))
    rows = []
  }
}
