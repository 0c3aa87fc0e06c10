import Glibc
import POSIX
import Reporting

/// The ranks and sizes of a process in its job. A single process is rank 0 of 1.
public struct RankPlace: Hashable, Sendable {
  public var globalRank: UInt32
  public var localRank: UInt32
  public var worldSize: UInt32
  public var localWorldSize: UInt32

  public init(globalRank: UInt32, localRank: UInt32, worldSize: UInt32, localWorldSize: UInt32) {
    self.globalRank = globalRank
    self.localRank = localRank
    self.worldSize = worldSize
    self.localWorldSize = localWorldSize
  }

  public static let single = RankPlace(globalRank: 0, localRank: 0, worldSize: 1, localWorldSize: 1)
}
