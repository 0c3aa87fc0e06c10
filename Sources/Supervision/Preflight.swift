import Vocabulary

/// Whether memory and disk suffice for what a job will need, judged when the size of its state is known.
public struct Preflight: Hashable, Sendable {
  public enum Shortage: Hashable, Sendable {
    /// Bytes of the filesystem in memory for the slots of the arena.
    case arena(needed: UInt64, free: UInt64)
    /// Bytes of memory that the machine or the cgroup has left for the slots. No slot takes more than half of it.
    case memory(needed: UInt64, free: UInt64)
    /// Bytes on the disk for the checkpoints that are kept.
    case disk(needed: UInt64, free: UInt64, checkpoints: UInt64)
    /// Inodes on the disk.
    case inodes(needed: UInt64, free: UInt64, checkpoints: UInt64)
  }

  /// Files and directories of a checkpoint, with those of one that is being written.
  public static let inodesPerCheckpoint: UInt64 = 4

  /// Size of an image of the state.
  public var stateBytes: UInt64
  public var slotCount: UInt64
  /// Free for the arena, with what its slots have already.
  public var arenaBytes: UInt64
  /// Memory that is left, with what the slots have already.
  public var memoryBytes: UInt64
  /// Free for checkpoints, with what the job's checkpoints have already. nil: none are made.
  public var diskBytes: UInt64?
  /// nil: the filesystem does not count them.
  public var inodes: UInt64?

  public init(
    stateBytes: UInt64, slotCount: UInt64, arenaBytes: UInt64, memoryBytes: UInt64, diskBytes: UInt64?,
    inodes: UInt64?
  ) {
    self.stateBytes = stateBytes
    self.slotCount = slotCount
    self.arenaBytes = arenaBytes
    self.memoryBytes = memoryBytes
    self.diskBytes = diskBytes
    self.inodes = inodes
  }

  /// - Parameters:
  ///   - policies: those of the job.
  ///   - totalSteps: of the whole run; nil: unknown.
  public func shortages(_ policies: [CheckpointPolicy], totalSteps: UInt64?) -> [Shortage] {
    var found: [Shortage] = []
    let arena = stateBytes.times(slotCount)
    if arena > arenaBytes {
      found.append(.arena(needed: arena, free: arenaBytes))
    } else if stateBytes.times(slotCount + 1) > memoryBytes {
      // Half of what the other slots leave is as much as the last one needs.
      found.append(.memory(needed: arena, free: memoryBytes))
    }
    // While the next one is written, none has been removed.
    let kept = policies.filter { !$0.weightsOnly }.map { $0.mostKept(totalSteps: totalSteps) }
    let count = (kept + [1]).saturatingSum
    if let diskBytes, stateBytes.times(count) > diskBytes {
      found.append(.disk(needed: stateBytes.times(count), free: diskBytes, checkpoints: count))
    }
    if let inodes, diskBytes != nil, count.times(Self.inodesPerCheckpoint) > inodes {
      found.append(
        .inodes(needed: count.times(Self.inodesPerCheckpoint), free: inodes, checkpoints: count))
    }
    return found
  }
}

extension UInt64 {
  /// The product, or the largest number.
  fileprivate func times(_ other: UInt64) -> UInt64 {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? .max : product
  }
}

extension CheckpointPolicy {
  /// How many checkpoints it keeps at once, at most.
  fileprivate func mostKept(totalSteps: UInt64?) -> UInt64 {
    let forever = keepEverySteps.flatMap { every in totalSteps.map { $0 / max(1, every) } } ?? 0
    return [UInt64(clamping: keptLast), UInt64(clamping: keepBest), UInt64(clamping: keepDaily), forever]
      .saturatingSum
  }
}
