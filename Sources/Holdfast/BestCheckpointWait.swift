import Glibc
import POSIX
import SystemPackage
import TrainerProtocol

/// Reads the best checkpoints, and waits until the supervisor has handled what this process has reported.
struct BestCheckpointWait {
  let ring: RingWriter
  let records: RecordQueue
  let runDirectory: FilePath
  let attempt: UInt64
  /// Number of records of metrics after a step.
  let logged: UInt64
  /// Step of the record that the run is complete.
  let finishedStep: UInt64?

  /// - Parameter monitor: name of the policy's metric; nil: the first policy.
  func checkpoints(monitor: String?, timeout: Duration) -> [BestCheckpoint] {
    let policies = run(timeout: timeout)?.policies ?? []
    guard let policy = policies.first(where: { monitor == nil || $0.monitor == monitor }) else { return [] }
    return policy.checkpoints.map {
      BestCheckpoint(
        path: FilePath($0.path), step: $0.step, monitor: policy.monitor, score: $0.score,
        weightsOnly: policy.weightsOnly)
    }
  }

  /// - Returns: the newest known after `timeout` at most; nil: none are known.
  private func run(timeout: Duration) -> BestCheckpoints? {
    let deadline = Clock.monotonicNanoseconds &+ UInt64(max(.zero, timeout) / .nanoseconds(1))
    var pause: UInt32 = 500
    while true {
      let best = BestCheckpoints.read(in: runDirectory)
      if let best, best.policies.isEmpty || isCurrent(best) { return best }
      guard Clock.monotonicNanoseconds < deadline else { return best }
      records.send()
      ring.beat()
      usleep(pause)
      pause = min(pause * 2, 20_000)
    }
  }

  private func isCurrent(_ best: BestCheckpoints) -> Bool {
    best.attempt == attempt && best.answered >= ring.acknowledgedSequence && best.logged >= logged
      && (finishedStep == nil || best.finishedStep == finishedStep) && best.publishingStep == nil
  }
}
