import POSIX
import Supervision
import TrainerProtocol
import Vocabulary

/// The supervisor's end of the ring that the trainer maps. It carries requests, offers and verdicts to the trainer;
/// its header shows the trainer's progress.
final class TrainerLink {
  /// nil: there is no attempt, or its ring was drained to the end.
  private var ring: RingReader?
  /// Cut id of the open request.
  private(set) var requestedCut: CutID?
  /// The resume point of the running trainer was replaced.
  private var pointIsReplaced = false
  private var heartbeat: UInt64 = 0
  private var skipped: UInt64 = 0
  /// The sequence of a request that is posted when the arena is prepared.
  var waiting: UInt64?

  /// Called when an attempt begins, before its trainer is started.
  /// - Parameter isUnread: the trainer must wait for the verdict on its resume point.
  func open(_ ring: RingReader, isUnread: Bool, initialSlot: Int?) {
    self.ring = ring
    heartbeat = 0
    skipped = 0
    pointIsReplaced = false
    waiting = nil
    ring.setVerdict(isUnread ? .pending : .none)
    ring.setInitialSlot(initialSlot.map(UInt32.init))
  }

  func close() { ring = nil }

  var isOpen: Bool { ring != nil }

  // MARK: Checkpoints

  func offer(slot: Int?) { ring?.offer(slot: slot.map(UInt32.init)) }

  /// - Parameters:
  ///   - target: when the state is to be saved; nil: at the next step.
  ///   - deadline: from now; nil: none.
  func post(
    _ kind: RequestKind, sequence: UInt64, slot: Int, target: SaveTarget?, generation: UInt64,
    deadline: Duration?
  ) {
    // Requests use CLOCK_MONOTONIC, which every language can read.
    let wait = deadline.map { UInt64(max(.zero, $0) / .nanoseconds(1)) + Clock.monotonicNanoseconds } ?? 0
    let word: Request.Kind =
      switch kind {
      case .save: .save
      case .saveAndLeave: .saveAndLeave
      case .cancel: .cancel
      }
    let cut = CutID()
    requestedCut = cut
    ring?.post(
      Request(
        sequence: sequence, kind: word, slot: UInt32(slot), cutID: cut, targetStep: target?.step ?? 0,
        everyEpochs: UInt32(clamping: target?.everyEpochs ?? 0), epochEnd: target?.epochEnd ?? .validation,
        generation: generation, deadlineNanoseconds: wait))
  }

  func setPrepared(bytes: Int) { ring?.setPrepared(bytes: UInt64(bytes)) }

  // MARK: The resume point

  /// Gives the running trainer another resume point. It continues to wait for the verdict.
  func replacePoint(initialSlot: Int?) {
    pointIsReplaced = true
    ring?.setInitialSlot(initialSlot.map(UInt32.init))
  }

  func sendVerdict() { ring?.setVerdict(pointIsReplaced ? .replaced : .whole) }

  func setVerified(bytes: UInt64) { ring?.setVerified(bytes: bytes) }

  /// The trainer is loading the state.
  var isRestoring: Bool { ring?.restoring == .loading }

  /// The trainer is in its loop, or does not report its restoring.
  var isPastRestoring: Bool { ring.map { $0.restoring == .done || $0.restoring == .silent } ?? false }

  /// The trainer does not wait for verdicts and may have loaded the point that was replaced.
  var mayHaveLoadedDamagedPoint: Bool { pointIsReplaced && ring?.restoring == .silent }

  // MARK: The header

  /// - Returns: whether it has changed.
  func updateHeartbeat(_ heartbeat: UInt64) -> Bool {
    defer { self.heartbeat = heartbeat }
    return heartbeat != self.heartbeat
  }

  /// - Parameter count: total of records that the trainer dropped.
  /// - Returns: whether it has increased.
  func updateSkipped(_ count: UInt64) -> Bool {
    defer { skipped = max(skipped, count) }
    return count > skipped
  }
}
