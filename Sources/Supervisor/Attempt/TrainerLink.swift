import POSIX
import Supervision
import TrainerProtocol

/// The supervisor's end of the ring that the trainer maps: requests, offers and verdicts go out by it, and its header
/// says how far the trainer is.
final class TrainerLink {
  /// nil: there is no attempt, or all that it wrote was drained.
  private var ring: RingReader?
  /// Cut that the open request asked for.
  private(set) var requestedCut: CutID?
  /// The trainer was told, or is to be told, of another resume point than it began with.
  private var pointIsReplaced = false
  private var heartbeat: UInt64 = 0
  private var skipped: UInt64 = 0

  /// An attempt begins; its trainer is not there yet.
  /// - Parameter isUnread: it waits for a verdict on its resume point.
  func open(_ ring: RingReader, isUnread: Bool, initialSlot: Int?) {
    self.ring = ring
    heartbeat = 0
    skipped = 0
    pointIsReplaced = false
    ring.setVerdict(isUnread ? .pending : .none)
    ring.setInitialSlot(initialSlot.map(UInt32.init))
  }

  func close() { ring = nil }

  var isOpen: Bool { ring != nil }

  // MARK: Checkpoints

  func offer(slot: Int?) { ring?.offer(slot: slot.map(UInt32.init)) }

  /// - Parameter deadline: from now; nil: none.
  func post(_ kind: RequestKind, sequence: UInt64, slot: Int, generation: UInt64, deadline: Duration?) {
    // Requests carry CLOCK_MONOTONIC, which every language reads.
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
        sequence: sequence, kind: word, slot: UInt32(slot), cutID: cut, generation: generation,
        deadlineNanoseconds: wait))
  }

  // MARK: The resume point

  /// The trainer that runs gets another one. It waits on for the verdict.
  func replacePoint(initialSlot: Int?) {
    pointIsReplaced = true
    ring?.setInitialSlot(initialSlot.map(UInt32.init))
  }

  func sendVerdict() { ring?.setVerdict(pointIsReplaced ? .replaced : .whole) }

  func setVerified(bytes: UInt64) { ring?.setVerified(bytes: bytes) }

  /// It loads the state at this moment.
  var isRestoring: Bool { ring?.restoring == .loading }

  /// It is in its loop, as far as it says.
  var isPastRestoring: Bool { ring.map { $0.restoring == .done || $0.restoring == .silent } ?? false }

  /// It does not wait for verdicts, and may have loaded the point that was replaced.
  var mayHaveLoadedDamagedPoint: Bool { pointIsReplaced && ring?.restoring == .silent }

  // MARK: Its header

  /// - Returns: whether it is another one than last time.
  func updateHeartbeat(_ heartbeat: UInt64) -> Bool {
    defer { self.heartbeat = heartbeat }
    return heartbeat != self.heartbeat
  }

  /// - Parameter count: of records that the trainer dropped, in all.
  /// - Returns: whether there are more than last time.
  func updateSkipped(_ count: UInt64) -> Bool {
    defer { skipped = max(skipped, count) }
    return count > skipped
  }
}
