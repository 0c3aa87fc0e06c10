import Glibc
import POSIX
import Reporting

/// The description of an image in its slot's header.
public struct ImageDescription: Hashable, Sendable {
  public var jobID: JobID
  public var cutID: CutID
  public var attempt: UInt64
  public var generation: UInt64
  public var globalRank: UInt32
  public var worldSize: UInt32
  public var step: UInt64
  /// The number, from 1, of the epoch at whose end it was saved; 0: elsewhere, or by an older client.
  public var completedEpochs: UInt32

  public init(
    jobID: JobID, cutID: CutID, attempt: UInt64, generation: UInt64, globalRank: UInt32, worldSize: UInt32,
    step: UInt64, completedEpochs: UInt32 = 0
  ) {
    self.jobID = jobID
    self.cutID = cutID
    self.attempt = attempt
    self.generation = generation
    self.globalRank = globalRank
    self.worldSize = worldSize
    self.step = step
    self.completedEpochs = completedEpochs
  }
}
