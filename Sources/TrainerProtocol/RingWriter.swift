import CTrainerProtocol
import POSIX
import Reporting
import Synchronization
public import SystemPackage
import Vocabulary

/// The trainer's end of the ring. Invariants:
/// - One thread writes; the flock on the ring says that its process lives.
/// - A record becomes valid only by its CRC, written after its payload; `written` moves last.
/// - Bytes between `consumed` and `written` are never overwritten: a full ring takes no new record, and a
///   snapshot that it does not take is counted.
///   Eight bytes at least stay free, so that an empty and a full ring, and the laps that a supervisor
///   may have died between, are told apart.
/// - Sequence numbers are given to written records alone, so the reader sees no gap.
public final class RingWriter {
  private let ring: RingMapping
  private let data: UnsafeMutableRawPointer
  private let capacity: UInt64
  private let mask: UInt64
  /// Apart from the object, whose every access would be checked for exclusivity, in each step.
  private let at: UnsafeMutablePointer<Position>

  private struct Position {
    var written: UInt64 = 0
    var sequence: UInt64 = 0
    /// The reader's position as last looked up: it can only have moved on since.
    var consumed: UInt64 = 0
    var answered: UInt64 = 0
    var heartbeats: UInt64 = 0
  }

  /// Opens the ring of a run directory, and locks it for as long as this process lives.
  public init(directory: FilePath, localRank: UInt32 = 0) throws(ProtocolError) {
    let path = directory.appending(RingMapping.name(localRank: localRank))
    ring = try RingMapping(path, lock: true, populate: true)
    data = ring.data
    capacity = ring.capacity
    mask = capacity - 1
    at = .allocate(capacity: 1)
    at.initialize(to: Position())
    guard ring.word(HF_RING_WRITTEN).pointee.load(ordering: .relaxed) == 0 else {
      throw ProtocolError(
        .locked, "a trainer of this attempt has attached before", path: path,
        hint: "attach in one process only")
    }
  }

  deinit { at.deallocate() }

  public var identity: RingIdentity { ring.identity }

  /// The largest payload that a record may have, in bytes.
  public var largestPayload: Int { Int(capacity / 2) - Int(HF_RECORD_HEADER_BYTES) }

  public func setAttached(pid: Int32) {
    ring.half(HF_RING_ATTACHED_PID).pointee.store(UInt32(bitPattern: pid), ordering: .relaxed)
  }

  /// How far this trainer is with its resume point.
  public func say(_ restoring: Restoring) {
    ring.half(HF_RING_RESTORING).pointee.store(restoring.rawValue, ordering: .releasing)
  }

  /// What the supervisor says of the resume point.
  public var verdict: PointVerdict {
    PointVerdict(rawValue: ring.half(HF_RING_VERDICT).pointee.load(ordering: .acquiring)) ?? .none
  }

  /// Grows while the supervisor reads the resume point.
  public var verifiedBytes: UInt64 { ring.word(HF_RING_VERIFIED).pointee.load(ordering: .relaxed) }

  /// The slot for the state before the first step; nil: none.
  public var initialSlot: UInt32? {
    let slot = ring.half(HF_RING_INITIAL_SLOT).pointee.load(ordering: .acquiring)
    return slot > 0 && slot <= identity.arenaSlots ? slot - 1 : nil
  }

  /// Shows that the trainer lives; at every step and safe point.
  @inline(__always)
  public func beat() {
    at.pointee.heartbeats &+= 1
    ring.word(HF_RING_HEARTBEAT).pointee.store(at.pointee.heartbeats, ordering: .relaxed)
  }

  /// Appends a record; `fill` gets exactly `bytes` bytes to write.
  /// - Returns: false when there was no room. It is not counted as lost: what is no snapshot is kept by
  ///   whoever appends it, and tried again.
  @inline(__always)
  public func append(
    _ kind: RecordKind, bytes: Int, fill: (UnsafeMutableRawBufferPointer) -> Void
  ) -> Bool {
    guard let record = reserve(bytes) else { return false }
    fill(UnsafeMutableRawBufferPointer(start: record + Int(HF_RECORD_HEADER_BYTES), count: bytes))
    commit(record, kind, payloadBytes: bytes)
    return true
  }

  public func append(_ kind: RecordKind, _ payload: [UInt8]) -> Bool {
    append(kind, bytes: payload.count) { $0.copyBytes(from: payload) }
  }

  /// Appends one step's snapshot.
  /// - Parameters:
  ///   - metrics: in the order of the names that were sent.
  ///   - parts: as `EncodedParts` encodes them.
  ///   - image: the whole state, for a full snapshot; else empty.
  @inline(__always)
  public func appendSnapshot(
    step: UInt64, epoch: UInt64, batch: UInt64, samples: UInt64, timeNanoseconds: UInt64,
    phase: LoopState.Phase, metrics: UnsafeBufferPointer<Double>, parts: UnsafeRawBufferPointer,
    partCount: Int, image: UnsafeRawBufferPointer
  ) -> Bool {
    ring.word(HF_RING_LAST_STEP).pointee.store(step, ordering: .relaxed)
    let metricBytes = metrics.count &* 8
    let bytes = Int(HF_SNAPSHOT_BYTES) &+ metricBytes &+ parts.count &+ image.count
    // Counts that their fields cannot hold would make a record that nobody can read.
    let fits = metrics.count | partCount <= Int(UInt16.max)
    guard let record = fits ? reserve(bytes) : nil else { return countLost() }
    let payload = record + Int(HF_RECORD_HEADER_BYTES)
    payload.put(step, at: HF_SNAPSHOT_STEP)
    payload.put(epoch, at: HF_SNAPSHOT_EPOCH)
    payload.put(batch, at: HF_SNAPSHOT_BATCH)
    payload.put(samples, at: HF_SNAPSHOT_SAMPLES)
    payload.put(timeNanoseconds, at: HF_SNAPSHOT_TIME_NS)
    payload.put(UInt16(phase.rawValue), at: HF_SNAPSHOT_PHASE)
    payload.put(UInt16(truncatingIfNeeded: metrics.count), at: HF_SNAPSHOT_METRIC_COUNT)
    payload.put(UInt32(truncatingIfNeeded: partCount), at: HF_SNAPSHOT_PART_COUNT)
    payload.put(UInt64(image.count), at: HF_SNAPSHOT_IMAGE_BYTES)
    var end = payload + Int(HF_SNAPSHOT_BYTES)
    if let base = metrics.baseAddress, metricBytes > 0 {
      end.copyMemory(from: base, byteCount: metricBytes)
      end += metricBytes
    }
    if let base = parts.baseAddress, parts.count > 0 {
      end.copyMemory(from: base, byteCount: parts.count)
      end += parts.count
    }
    if let base = image.baseAddress, image.count > 0 { end.copyMemory(from: base, byteCount: image.count) }
    commit(record, .snapshot, payloadBytes: bytes)
    return true
  }

  /// Room for a record, at the end of what is written; padding first where it would cross the end.
  @inline(__always)
  private func reserve(_ payloadBytes: Int) -> UnsafeMutableRawPointer? {
    let need = (UInt64(payloadBytes) &+ UInt64(HF_RECORD_HEADER_BYTES) &+ 7) & ~7
    guard need <= capacity / 2 else { return nil }
    let remaining = capacity &- (at.pointee.written & mask)
    let total = need > remaining ? need &+ remaining : need
    if at.pointee.written &+ total &- at.pointee.consumed >= capacity {
      at.pointee.consumed = ring.word(HF_RING_CONSUMED).pointee.load(ordering: .acquiring)
      // A damaged position must not make room where there is none.
      guard at.pointee.consumed <= at.pointee.written,
        at.pointee.written &+ total &- at.pointee.consumed < capacity
      else { return nil }
    }
    if need > remaining { pad(Int(remaining)) }
    return data + Int(at.pointee.written & mask)
  }

  @inline(never)
  private func countLost() -> Bool {
    ring.word(HF_RING_SKIPPED).pointee.add(1, ordering: .relaxed)
    return false
  }

  @inline(never)
  private func pad(_ bytes: Int) {
    if bytes >= Int(HF_RECORD_HEADER_BYTES) {
      commit(
        data + Int(at.pointee.written & mask), .padding, payloadBytes: bytes - Int(HF_RECORD_HEADER_BYTES))
    } else {
      at.pointee.written &+= UInt64(bytes)
    }
  }

  @inline(__always)
  private func commit(_ record: UnsafeMutableRawPointer, _ kind: RecordKind, payloadBytes: Int) {
    at.pointee.sequence &+= 1
    let length = payloadBytes &+ Int(HF_RECORD_HEADER_BYTES)
    record.put(UInt32(truncatingIfNeeded: length), at: HF_RECORD_LENGTH)
    record.put(UInt32(kind.rawValue), at: HF_RECORD_KIND)
    record.put(at.pointee.sequence, at: HF_RECORD_SEQUENCE)
    // Both the CRC, which counts as zero in itself, and the word after it.
    record.put(UInt64(0), at: HF_RECORD_CRC)
    let covered = kind == .padding ? Int(HF_RECORD_HEADER_BYTES) : length
    let crc = CRC32.checksum(UnsafeRawBufferPointer(start: record, count: covered))
    record.put(crc, at: HF_RECORD_CRC)
    at.pointee.written &+= (UInt64(length) &+ 7) & ~7
    ring.word(HF_RING_WRITTEN).pointee.store(at.pointee.written, ordering: .releasing)
  }

  /// Snapshots dropped because the ring was full.
  public var skipped: UInt64 { ring.word(HF_RING_SKIPPED).pointee.load(ordering: .relaxed) }

  // MARK: Requests

  /// The request that is not answered yet. One load where there is none.
  @inline(__always)
  public func pendingRequest() -> Request? {
    let sequence = ring.word(HF_RING_REQUEST_SEQUENCE).pointee.load(ordering: .relaxed)
    return sequence == at.pointee.answered ? nil : readRequest()
  }

  @inline(never)
  private func readRequest() -> Request? {
    let lock = ring.word(HF_RING_REQUEST_LOCK)
    let base = ring.mapping.base
    let before = lock.pointee.load(ordering: .acquiring)
    // Being written, or by someone who died writing: a later step looks again.
    guard before % 2 == 0 else { return nil }
    let bytes = ring.mapping.bytes
    let kind = bytes.u32(HF_RING_REQUEST_KIND)
    let request = Request(
      sequence: bytes.u64(HF_RING_REQUEST_SEQUENCE), kind: Request.Kind(rawValue: kind) ?? .none,
      slot: bytes.u32(HF_RING_REQUEST_SLOT), cutID: CutID(at: base + Int(HF_RING_REQUEST_CUT_ID)),
      targetStep: bytes.u64(HF_RING_REQUEST_TARGET_STEP),
      generation: bytes.u64(HF_RING_REQUEST_GENERATION),
      deadlineNanoseconds: bytes.u64(HF_RING_REQUEST_DEADLINE_NS))
    atomicMemoryFence(ordering: .acquiring)
    guard lock.pointee.load(ordering: .relaxed) == before else { return nil }
    // Whoever holds another generation asks in vain.
    guard request.kind != .none, request.generation == identity.generation else {
      at.pointee.answered = request.sequence
      return nil
    }
    return request
  }

  /// Marks a request as answered: it is not pending any more.
  public func acknowledge(_ request: Request, _ outcome: Staged.Outcome) {
    at.pointee.answered = request.sequence
    ring.half(HF_RING_OUTCOME).pointee.store(outcome.rawValue, ordering: .relaxed)
    ring.word(HF_RING_ACKNOWLEDGED).pointee.store(request.sequence, ordering: .releasing)
  }

  /// The slot that may be filled unasked.
  public var spareSlot: UInt32? {
    let slot = ring.half(HF_RING_SPARE_SLOT).pointee.load(ordering: .acquiring)
    return slot < identity.arenaSlots ? slot : nil
  }
}
