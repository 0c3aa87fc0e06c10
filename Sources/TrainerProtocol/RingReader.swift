import CTrainerProtocol
import POSIX
import Reporting
import Synchronization
public import SystemPackage
import Vocabulary

/// The supervisor's end of the ring. Invariants:
/// - Data in the ring is untrusted: a record is accepted only with a plausible length, the expected sequence and a
///   valid CRC; anything else counts as not written yet.
/// - Three positions: `cursor` (read), `retained` (not to be read again by this process), `released` (published to
///   the trainer). They are read from shared memory once, at opening; from then on it is only written.
/// - Positions are always at the end of a record, never after the gap at the ring's end, so that none exceeds the
///   trainer's `written`.
/// - `consumed` moves only after the store has committed the data: after a crash, the next supervisor reads the
///   rest again.
/// - `consumed` is written before `consumed_sequence`. After a crash between the two, the record at `consumed` has at
///   least the stored sequence. Remains of an earlier lap have a smaller one: as the trainer never fills the ring
///   entirely, the two positions are less than a lap apart.
public final class RingReader: @unchecked Sendable {
  private struct Position {
    var bytes: UInt64
    /// The sequence of the record that begins here…
    var sequence: UInt64
    /// …or a lower bound of it, until the first record after opening.
    var isLowerBound: Bool
  }

  private let ring: RingMapping
  private var cursor: Position
  private var retained: Position
  private var released: Position

  /// Creates a new, empty ring that replaces any other.
  /// - Parameter capacityBytes: a power of two.
  public static func create(
    directory: FilePath, identity: RingIdentity, capacityBytes: Int
  ) throws(ProtocolError) -> RingReader {
    let path = try RingMapping.create(
      directory: directory, identity: identity, capacity: UInt64(capacityBytes))
    return try RingReader(path)
  }

  /// Allocates the memory of the next ring in advance.
  public static func prepareNext(directory: FilePath, localRank: UInt32 = 0, capacityBytes: Int)
    throws(ProtocolError)
  {
    try RingMapping.prepare(directory: directory, localRank: localRank, capacity: UInt64(capacityBytes))
  }

  /// Opens the ring of an earlier supervisor.
  public static func open(directory: FilePath, localRank: UInt32 = 0) throws(ProtocolError) -> RingReader {
    try RingReader(directory.appending(RingMapping.name(localRank: localRank)))
  }

  private init(_ path: FilePath) throws(ProtocolError) {
    ring = try RingMapping(path, lock: false, populate: false)
    released = Position(
      bytes: ring.word(HF_RING_CONSUMED).pointee.load(ordering: .relaxed),
      sequence: ring.word(HF_RING_CONSUMED_SEQUENCE).pointee.load(ordering: .relaxed), isLowerBound: true)
    (cursor, retained) = (released, released)
    guard cursor.bytes % 8 == 0 else {
      throw ProtocolError(
        .damaged, "the ring's header is damaged", path: path, why: "position",
        hint: "its unread records are lost; the newest checkpoint is used")
    }
  }

  public var identity: RingIdentity { ring.identity }

  /// Whether a trainer, or a process that it forked, still has the ring open.
  public var isHeld: Bool {
    guard (try? ring.file.tryLock()) == true else { return true }
    try? ring.file.unlock()
    return false
  }

  /// Whether there is unread data according to the trainer. Only a hint to save work: the trainer may have died
  /// between a record and this word, so the last drain of a ring ignores it.
  public var hasUnread: Bool { ring.word(HF_RING_WRITTEN).pointee.load(ordering: .acquiring) != cursor.bytes }

  /// Whether the trainer wrote more than could be read. Valid when the trainer has ended and a drain returned less
  /// than its limit: the rest is then damaged and lost. This does not include a record that the trainer did not
  /// complete.
  public var hasDamagedTail: Bool {
    ring.word(HF_RING_WRITTEN).pointee.load(ordering: .acquiring) > cursor.bytes
  }

  /// Whether the file was not truncated. If it was, data drained since the last check must be discarded, and the ring
  /// is useless: its trainer will die at the next missing page, or write to one that is never read.
  public var isIntact: Bool { ring.mapping.isIntact }

  /// Reads up to `limit` available records, and at most one lap.
  /// - Parameter body: receives each record in place; the bytes are valid only until it returns. If it throws, the
  ///   record counts as not read.
  /// - Returns: the number of records, without padding and unknown kinds.
  public func drain(
    limit: Int, _ body: (_ kind: RecordKind, _ payload: UnsafeRawBufferPointer) throws -> Void
  ) rethrows -> Int {
    let data = UnsafeRawPointer(ring.data)
    let capacity = ring.capacity
    let headerBytes = UInt64(HF_RECORD_HEADER_BYTES)
    // A local copy, as every access to the object would be checked for exclusivity.
    var position = cursor
    defer { cursor = position }
    let start = position.bytes
    var count = 0
    // Bounds the loop if the trainer writes as fast as this reads, or writes only padding.
    while count < limit, position.bytes &- start < capacity {
      var bytes = position.bytes
      var remaining = capacity &- (bytes & (capacity &- 1))
      if remaining < headerBytes {
        bytes &+= remaining
        remaining = capacity
      }
      let record = data + Int(bytes & (capacity &- 1))
      // Loaded once, not again after the checks, as the trainer may be writing here.
      let first = record.assumingMemoryBound(to: Atomic<UInt64>.self).pointee.load(ordering: .relaxed)
        .littleEndian
      let length = first & 0xffff_ffff
      let kind = UInt16(truncatingIfNeeded: first >> 32)
      let sequence = UInt64(
        littleEndian: record.load(fromByteOffset: Int(HF_RECORD_SEQUENCE), as: UInt64.self))
      guard length >= headerBytes, length <= remaining,
        sequence == position.sequence || (position.isLowerBound && sequence > position.sequence),
        UInt32(littleEndian: record.load(fromByteOffset: Int(HF_RECORD_CRC), as: UInt32.self))
          == RingMapping.checksum(
            record, length: Int(length), isPadding: kind == RecordKind.padding.rawValue)
      else { break }
      // Skip records of kinds from newer libraries.
      if let kind = RecordKind(rawValue: kind), kind != .padding {
        let payload = UnsafeRawBufferPointer(
          start: record + Int(headerBytes), count: Int(length &- headerBytes))
        try body(kind, payload)
        count &+= 1
      }
      position = Position(
        bytes: bytes &+ ((length &+ 7) & ~7), sequence: sequence &+ 1, isLowerBound: false)
    }
    return count
  }

  /// Returns the space of all read records to the trainer. Call this when they are durable.
  public func releaseConsumed() {
    (retained, released) = (cursor, cursor)
    ring.word(HF_RING_CONSUMED).pointee.store(released.bytes, ordering: .releasing)
    ring.word(HF_RING_CONSUMED_SEQUENCE).pointee.store(released.sequence, ordering: .releasing)
  }

  /// Marks all read records as retained in this process's memory. Their space is not released yet.
  public func markRetained() { retained = cursor }

  /// Goes back to the last retained or released position, after the transaction with the records was lost.
  public func rewind() { cursor = retained }

  /// Whether records that were read but not released occupy more than a quarter of the ring.
  public var needsRelease: Bool { cursor.bytes &- released.bytes > ring.capacity / 4 }

  // MARK: The trainer's part of the header. Its values are untrusted.

  public var skipped: UInt64 { ring.word(HF_RING_SKIPPED).pointee.load(ordering: .relaxed) }
  public var lastStep: UInt64 { ring.word(HF_RING_LAST_STEP).pointee.load(ordering: .relaxed) }
  public var heartbeat: UInt64 { ring.word(HF_RING_HEARTBEAT).pointee.load(ordering: .relaxed) }
  public var attachedPID: Int32 {
    Int32(bitPattern: ring.half(HF_RING_ATTACHED_PID).pointee.load(ordering: .relaxed))
  }

  /// The newest request that the trainer answered, with the outcome.
  public var acknowledged: Acknowledgement {
    // The trainer writes the outcome before the sequence.
    let sequence = ring.word(HF_RING_ACKNOWLEDGED).pointee.load(ordering: .acquiring)
    let outcome = ring.half(HF_RING_OUTCOME).pointee.load(ordering: .relaxed)
    return Acknowledgement(sequence: sequence, outcome: Staged.Outcome(rawValue: outcome) ?? .none)
  }

  /// The trainer's progress with its resume point.
  public var restoring: Restoring {
    Restoring(rawValue: ring.half(HF_RING_RESTORING).pointee.load(ordering: .acquiring)) ?? .silent
  }

  /// Size of an image of the trainer's state, as far as known; 0: unknown.
  public var stateBytes: UInt64 { ring.word(HF_RING_STATE_BYTES).pointee.load(ordering: .relaxed) }

  /// Shows the trainer that the slots have allocated pages for images of this size.
  public func setPrepared(bytes: UInt64) {
    ring.word(HF_RING_PREPARED_BYTES).pointee.store(bytes, ordering: .releasing)
  }

  // MARK: The resume point

  /// Publishes the verdict for which the trainer waits before it loads the resume point. All related data must be
  /// written before.
  public func setVerdict(_ verdict: PointVerdict) {
    ring.half(HF_RING_VERDICT).pointee.store(verdict.rawValue, ordering: .releasing)
  }

  /// Shows a waiting trainer the progress of the verification.
  public func setVerified(bytes: UInt64) {
    ring.word(HF_RING_VERIFIED).pointee.store(bytes, ordering: .relaxed)
  }

  /// The slot for the trainer's state before its first step.
  public func setInitialSlot(_ slot: UInt32?) {
    ring.half(HF_RING_INITIAL_SLOT).pointee.store(slot.map { $0 + 1 } ?? 0, ordering: .releasing)
  }

  // MARK: Requests

  public func post(_ request: Request) {
    let lock = ring.word(HF_RING_REQUEST_LOCK)
    let base = ring.mapping.base
    // The lock is odd if an earlier supervisor died while writing.
    let before = lock.pointee.load(ordering: .relaxed) & ~1
    lock.pointee.store(before &+ 1, ordering: .relaxed)
    atomicMemoryFence(ordering: .releasing)
    base.put(request.kind.rawValue, at: HF_RING_REQUEST_KIND)
    base.put(request.slot, at: HF_RING_REQUEST_SLOT)
    request.cutID.store(at: base + Int(HF_RING_REQUEST_CUT_ID))
    base.put(request.targetStep, at: HF_RING_REQUEST_TARGET_STEP)
    base.put(request.generation, at: HF_RING_REQUEST_GENERATION)
    base.put(request.deadlineNanoseconds, at: HF_RING_REQUEST_DEADLINE_NS)
    base.put(request.everyEpochs, at: HF_RING_REQUEST_EVERY_EPOCHS)
    base.put(request.epochEnd.rawValue, at: HF_RING_REQUEST_EPOCH_END)
    ring.word(HF_RING_REQUEST_SEQUENCE).pointee.store(request.sequence, ordering: .releasing)
    lock.pointee.store(before &+ 2, ordering: .releasing)
  }

  public func offer(slot: UInt32?) {
    ring.half(HF_RING_SPARE_SLOT).pointee.store(slot ?? HF_NO_SLOT, ordering: .releasing)
  }
}
