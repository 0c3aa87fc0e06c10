import CSpawn
import Glibc

/// The terminal of a descriptor.
public enum Terminal {
  public struct Size: Hashable, Sendable {
    public var columns: Int
    public var rows: Int

    public init(columns: Int, rows: Int) {
      self.columns = columns
      self.rows = rows
    }
  }

  /// - Returns: nil if it is not a terminal, or its size is unknown.
  public static func size(of descriptor: CInt) -> Size? {
    var columns: UInt16 = 0
    var rows: UInt16 = 0
    guard hf_terminal_size(descriptor, &columns, &rows) == 0, columns > 0, rows > 0 else { return nil }
    return Size(columns: Int(columns), rows: Int(rows))
  }
}
