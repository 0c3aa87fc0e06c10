/// A place in a file: line and column count from 1, columns in Unicode scalars.
public struct Place: Hashable, Sendable, Comparable {
  public var line: Int
  public var column: Int
  /// Number of columns on its line; at least 1.
  public var length: Int

  public init(line: Int, column: Int, length: Int = 1) {
    self.line = line
    self.column = column
    self.length = max(1, length)
  }

  public static func < (one: Place, other: Place) -> Bool {
    (one.line, one.column) < (other.line, other.column)
  }
}
