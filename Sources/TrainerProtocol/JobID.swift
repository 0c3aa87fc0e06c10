import POSIX
import Reporting

/// Identifies a job. Jobs with the same name on two machines have different ids.
public struct JobID: SixteenBytes {
  public let high: UInt64
  public let low: UInt64

  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }
}
