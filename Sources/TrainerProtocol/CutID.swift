import POSIX
import Reporting

/// Identifies a consistent checkpoint across ranks.
public struct CutID: SixteenBytes {
  public let high: UInt64
  public let low: UInt64

  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// The id of the checkpoint with only the weights of this cut, beside that of the whole state.
  public var weights: CutID { CutID(high: ~high, low: ~low) }
}
