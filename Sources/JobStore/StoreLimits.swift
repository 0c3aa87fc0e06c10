import Reporting
import TrainerProtocol

public struct StoreLimits: Sendable {
  /// Maximum rows of `snapshots`.
  public var snapshots = 16 << 20
  /// Maximum rows older than the oldest retained checkpoint.
  public var thinned = 1 << 16
  public var events: UInt64 = 100_000
  /// Maximum bytes of snapshots in memory while the store cannot be written.
  public var backlogBytes = 64 << 20
  /// Maximum ring records in one transaction.
  public var batch = 100_000

  public init() {}
}
