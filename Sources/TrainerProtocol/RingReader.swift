import CTrainerProtocol
import POSIX
import Reporting
import Synchronization
public import SystemPackage
import Vocabulary

/// The supervisor's end of the ring. Invariants:
/// - Nothing that lies in the ring is trusted: a record counts only when its length is sane, its
///   sequence the expected one and its CRC right; anything else is "not there yet".
/// - Three positions: `cursor` is what was read, `kept` what need not be read again by this process, `released` what
///   the trainer was told. They are read from the shared memory once, at opening; from then on what stands there is
///   written, never believed.
/// - All lie behind a record, never behind the gap at the ring's end, so that none passes what the
///   trainer calls written.
/// - `consumed` moves only when the store has committed what was read: a supervisor that dies reads
///   the rest again.
/// - `consumed` is written before `consumed_sequence`. After a death between the two, the record at
///   `consumed` has a sequence not below the one noted. What an earlier lap left there is below it,
///   because the trainer never fills the ring entirely: two positions that a death can part are less
///   than a lap apart.
public final class RingReader: @unchecked Sendable {
  private struct Position {
    var bytes: UInt64
    /// Of the record that begins here…
    var sequence: UInt64
    /// …or one above it: until the first record after opening.
    var isLowerBound: Bool
  }

  private let ring: RingMapping
  private var cursor: Position
  private var kept: Position
  private var released: Position

  /// Makes a new, empty ring in place of any other.
  /// - Parameter capacityBytes: a power of two.
  public static func create(
    directory: FilePath, identity: RingIdentity, capacityBytes: Int
  ) throws(ProtocolError) -> RingReader {
    let path = try RingMapping.create(
      directory: directory, identity: identity, capacity: UInt64(capacityBytes))
    return try RingReader(path)
  }

  /// Gets the memory of the next ring ahead of time.
  public static func prepareNext(directory: FilePath, localRank: UInt32 = 0, capacityBytes: Int)
    throws(ProtocolError)
  {
    try RingMapping.prepare(directory: directory, localRank: localRank, capacity: UInt64(capacityBytes))
  }

  /// Opens the ring that an earlier supervisor left.
  public static func open(directory: FilePath, localRank: UInt32 = 0) throws(ProtocolError) -> RingReader {
    try RingReader(directory.appending(RingMapping.name(localRank: localRank)))
  }

  private init(_ path: FilePath) throws(ProtocolError) {
    ring = try RingMapping(path, lock: false, populate: false)
    released = Position(
      bytes: ring.word(HF_RING_CONSUMED).pointee.load(ordering: .relaxed),
      sequence: ring.word(HF_RING_CONSUMED_SEQUENCE).pointee.load(ordering: .relaxed), isLowerBound: true)
    (cursor, kept) = (released, released)
    guard cursor.bytes % 8 == 0 else {
      throw ProtocolError(
        .damaged, "the ring's header is damaged", path: path, why: "position",
        hint: "its unread records are lost; the newest checkpoint is used")
    }
  }

  public var identity: RingIdentity { ring.identity }

  /// Whether a trainer, or something it forked, still holds the ring.
  public var isHeld: Bool {
    guard (try? ring.file.tryLock()) == true else { return true }
    try? ring.file.unlock()
    return false
  }

  /// Whether the trainer says that it wrote more than was read. Only a hint to save work: the trainer
  /// may be dead between a record and this word, so the last drain of a ring does not ask it.
  public var hasUnread: Bool { ring.word(HF_RING_WRITTEN).pointee.load(ordering: .acquiring) != cursor.bytes }

  /// Whether the trainer says that it wrote more than could be read. Ask it when the trainer has ended
  /// and a drain has returned less than its limit: what is left is then damaged, and lost. A record
  /// that the trainer died in was never written, and is not meant.
  public var damagedTail: Bool {
    ring.word(HF_RING_WRITTEN).pointee.load(ordering: .acquiring) > cursor.bytes
  }

  /// Whether the file is as long as it was. If not, what was drained since this was last true counts for
  /// nothing, and the ring is of no use to anybody: its trainer dies at the next page that is gone, or writes to
  /// one that nobody reads.
  public var isIntact: Bool { ring.mapping.isIntact }

  /// Reads up to `limit` records that are there, and at most one lap.
  /// - Parameter body: gets each record where it lies; its bytes are valid only until it returns. A
  ///   record for which it throws counts as not read.
  /// - Returns: how many were read; neither padding nor records of unknown kinds are counted.
  public func drain(
    limit: Int, _ body: (_ kind: RecordKind, _ payload: UnsafeRawBufferPointer) throws -> Void
  ) rethrows -> Int {
    let data = UnsafeRawPointer(ring.data)
    let capacity = ring.capacity
    let headerBytes = UInt64(HF_RECORD_HEADER_BYTES)
    // Apart from the object, whose every access would be checked for exclusivity, for each record.
    var position = cursor
    defer { cursor = position }
    let start = position.bytes
    var count = 0
    // A trainer that writes on as fast as this reads, or a damaged one that writes padding, ends here.
    while count < limit, position.bytes &- start < capacity {
      var bytes = position.bytes
      var remaining = capacity &- (bytes & (capacity &- 1))
      if remaining < headerBytes {
        bytes &+= remaining
        remaining = capacity
      }
      let record = data + Int(bytes & (capacity &- 1))
      // Once, and not again after the checks: the trainer may be writing here.
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
      // Those of a kind that only a newer library knows are passed over.
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

  /// Gives the room of everything read back to the trainer. Call when it is durable.
  public func releaseConsumed() {
    (kept, released) = (cursor, cursor)
    ring.word(HF_RING_CONSUMED).pointee.store(released.bytes, ordering: .releasing)
    ring.word(HF_RING_CONSUMED_SEQUENCE).pointee.store(released.sequence, ordering: .releasing)
  }

  /// Keeps in mind that everything read is in this process's memory. Its room is not given back yet.
  public func keep() { kept = cursor }

  /// Goes back to what was last kept or released: the transaction that took it was lost.
  public func rewind() { cursor = kept }

  /// Whether what was read and not given back takes much of the trainer's room.
  public var isKeepingMuch: Bool { cursor.bytes &- released.bytes > ring.capacity / 4 }

  // MARK: What the trainer says in the header. Any number may stand there.

  public var skipped: UInt64 { ring.word(HF_RING_SKIPPED).pointee.load(ordering: .relaxed) }
  public var lastStep: UInt64 { ring.word(HF_RING_LAST_STEP).pointee.load(ordering: .relaxed) }
  public var heartbeat: UInt64 { ring.word(HF_RING_HEARTBEAT).pointee.load(ordering: .relaxed) }
  public var attachedPID: Int32 {
    Int32(bitPattern: ring.half(HF_RING_ATTACHED_PID).pointee.load(ordering: .relaxed))
  }

  /// The newest request that the trainer answered, and how.
  public var acknowledged: Acknowledgement {
    // The trainer writes the outcome before the sequence.
    let sequence = ring.word(HF_RING_ACKNOWLEDGED).pointee.load(ordering: .acquiring)
    let outcome = ring.half(HF_RING_OUTCOME).pointee.load(ordering: .relaxed)
    return Acknowledgement(sequence: sequence, outcome: Staged.Outcome(rawValue: outcome) ?? .none)
  }

  /// How far the trainer is with its resume point.
  public var restoring: Restoring {
    Restoring(rawValue: ring.half(HF_RING_RESTORING).pointee.load(ordering: .acquiring)) ?? .silent
  }

  // MARK: The resume point

  /// What the trainer waits for before it takes the resume point. All that it says elsewhere is written
  /// before this.
  public func tell(_ verdict: PointVerdict) {
    ring.half(HF_RING_VERDICT).pointee.store(verdict.rawValue, ordering: .releasing)
  }

  /// Shows a trainer that waits that its resume point is being read.
  public func setVerified(bytes: UInt64) {
    ring.word(HF_RING_VERIFIED).pointee.store(bytes, ordering: .relaxed)
  }

  /// The slot into which the trainer puts its state once, before its first step.
  public func setInitialSlot(_ slot: UInt32?) {
    ring.half(HF_RING_INITIAL_SLOT).pointee.store(slot.map { $0 + 1 } ?? 0, ordering: .releasing)
  }

  // MARK: Requests

  public func post(_ request: Request) {
    let lock = ring.word(HF_RING_REQUEST_LOCK)
    let base = ring.mapping.base
    // Odd after a supervisor that died while writing.
    let before = lock.pointee.load(ordering: .relaxed) & ~1
    lock.pointee.store(before &+ 1, ordering: .relaxed)
    atomicMemoryFence(ordering: .releasing)
    base.put(request.kind.rawValue, at: HF_RING_REQUEST_KIND)
    base.put(request.slot, at: HF_RING_REQUEST_SLOT)
    request.cutID.store(at: base + Int(HF_RING_REQUEST_CUT_ID))
    base.put(request.targetStep, at: HF_RING_REQUEST_TARGET_STEP)
    base.put(request.generation, at: HF_RING_REQUEST_GENERATION)
    base.put(request.deadlineNanoseconds, at: HF_RING_REQUEST_DEADLINE_NS)
    ring.word(HF_RING_REQUEST_SEQUENCE).pointee.store(request.sequence, ordering: .releasing)
    lock.pointee.store(before &+ 2, ordering: .releasing)
  }

  public func offer(slot: UInt32?) {
    ring.half(HF_RING_SPARE_SLOT).pointee.store(slot ?? HF_NO_SLOT, ordering: .releasing)
  }
}
