import Checkpoints
import JobStore
import POSIX
import Reporting
import Supervision
import SystemPackage
import TrainerProtocol
import Vocabulary

/// Measures what is free for a job's states, on a thread, since a disk may hang.
final class SpaceCheck {
  private let directories: JobDirectory
  private let mailbox: Mailbox<Runtime.Report>
  /// The size of the state that was checked last.
  private var checkedBytes: UInt64 = 0

  init(_ directories: JobDirectory, _ mailbox: Mailbox<Runtime.Report>) {
    self.directories = directories
    self.mailbox = mailbox
  }

  /// Checks once, and again when the state has grown by a quarter.
  /// - Parameter records: the job's durable checkpoints.
  func check(
    stateBytes: UInt64, _ policy: Policy, _ records: [CheckpointRecord], totalSteps: UInt64?
  ) {
    // The size is one that the trainer reported: any number.
    guard stateBytes - stateBytes / 5 > checkedBytes else { return }
    checkedBytes = stateBytes
    let whole = records.filter(\.isWhole)
    let checkpoints = (count: whole.count, bytes: whole.map(\.bytes).saturatingSum)
    let work: @Sendable () -> Void = { [directories, mailbox] in
      let shortages = Self.preflight(directories, stateBytes, policy, checkpoints)
        .shortages(policy.policies, totalSteps: totalSteps)
      for shortage in shortages { mailbox.post(.shortage(shortage.words(directories, stateBytes))) }
    }
    // Without a thread nothing is checked: a shortage is reported when it comes.
    try? NativeThread.start(work)
  }

  private static func preflight(
    _ directories: JobDirectory, _ stateBytes: UInt64, _ policy: Policy,
    _ checkpoints: (count: Int, bytes: UInt64)
  ) -> Preflight {
    let place = FileSystem.exists(directories.checkpoints) ? directories.checkpoints : directories.state
    // What cannot be measured is not reported as missing.
    let arena = (try? FileSystem.availableBytes(directories.run)).map { UInt64($0) } ?? .max
    let disk = (try? FileSystem.availableBytes(place)).map { UInt64($0) } ?? .max
    let inodes = (try? FileSystem.availableInodes(place)).flatMap { $0 }
    let allocated = directories.arena.allocatedBytes(slotCount: UInt32(policy.slotCount))
    let used = UInt64(checkpoints.count) * Preflight.inodesPerCheckpoint
    return Preflight(
      stateBytes: stateBytes, slotCount: UInt64(policy.slotCount),
      arenaBytes: ([arena] + allocated).saturatingSum,
      memoryBytes: ([UInt64(MemoryHeadroom.bytes)] + allocated).saturatingSum,
      diskBytes: policy.isDurable ? [disk, checkpoints.bytes].saturatingSum : nil,
      inodes: inodes.map { [$0, used].saturatingSum })
  }
}

extension Preflight.Shortage {
  /// What is needed, what there is, and what to do.
  fileprivate func words(_ directories: JobDirectory, _ stateBytes: UInt64) -> String {
    let state = "the state has \(Words.bytes(stateBytes))"
    switch self {
    case .arena(let needed, let free):
      return
        "\(state), so staging it takes \(Words.bytes(needed)) in the run directory \(directories.run), which has "
        + "\(Words.bytes(free)): what finds no room there is staged on disk, in \(directories.state). For memory, use a "
        + "larger tmpfs with --run-dir DIR (in a container: --shm-size)"
    case .memory(let needed, let free):
      return
        "\(state), so staging it takes \(Words.bytes(needed)) of memory, of which \(Words.bytes(free)) are left: a copy "
        + "that would take more than half of what is left is staged on disk, in \(directories.state)"
    case .disk(let needed, let free, let checkpoints):
      return
        "\(state), so \(checkpoints) checkpoints take \(Words.bytes(needed)) in \(directories.checkpoints), which has "
        + "\(Words.bytes(free)): keep fewer (--keep-last), or use another disk (--checkpoint-dir DIR)"
    case .inodes(let needed, let free, let checkpoints):
      return
        "\(checkpoints) checkpoints take \(needed) inodes in \(directories.checkpoints), which has \(free): remove "
        + "files there, or use another disk (--checkpoint-dir DIR)"
    }
  }
}
