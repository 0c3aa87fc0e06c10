import Glibc
import POSIX
import Reporting

/// The owner of a ring, constant for an attempt.
public struct RingIdentity: Hashable, Sendable {
  public var jobID: JobID
  public var attempt: UInt64
  /// Greater than that of any earlier launch. A holder of an older generation must not publish anything.
  public var generation: UInt64
  public var place: RankPlace
  public var arenaSlots: UInt32

  public init(
    jobID: JobID, attempt: UInt64, generation: UInt64, place: RankPlace = .single, arenaSlots: UInt32 = 2
  ) {
    self.jobID = jobID
    self.attempt = attempt
    self.generation = generation
    self.place = place
    self.arenaSlots = arenaSlots
  }
}
