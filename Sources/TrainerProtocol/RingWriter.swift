import CTrainerProtocol
import POSIX
import Reporting
import Synchronization
public import SystemPackage
import Vocabulary

/// The trainer's end of the ring. Invariants:
/// - One thread writes; the flock on the ring shows that its process is alive.
/// - A record becomes valid with its CRC, which is written after the payload; `written` moves last.
/// - Bytes between `consumed` and `written` are never overwritten: a full ring rejects new records, and rejected
///   snapshots are counted. At least eight bytes stay free, to distinguish an empty from a full ring, and the laps
///   between which a supervisor may have died.
/// - Only written records get sequence numbers, so the reader sees no gaps.
public final class RingWriter {
  private let ring: RingMapping
  private let data: UnsafeMutableRawPointer
  private let capacity: UInt64
  private let mask: UInt64
  /// Outside of the object, as every access to a property would be checked for exclusivity.
  private let at: UnsafeMutablePointer<Position>

  private struct Position {
    var written: UInt64 = 0
    var sequence: UInt64 = 0
    /// The last known position of the reader, a lower bound.
    var consumed: UInt64 = 0
    var answered: UInt64 = 0
    var heartbeats: UInt64 = 0
    /// The newest request that was read.
    var request: Request?
  }

  /// Opens the ring of a run directory and locks it for the life of this process.
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
        .locked, "a trainer has already attached in this attempt", path: path,
        hint: "attach in one process only")
    }
  }

  deinit { at.deallocate() }

  public var identity: RingIdentity { ring.identity }

  /// The maximum payload of a record, in bytes.
  public var largestPayload: Int { Int(capacity / 2) - Int(HF_RECORD_HEADER_BYTES) }

  public func setAttached(pid: Int32) {
    ring.half(HF_RING_ATTACHED_PID).pointee.store(UInt32(bitPattern: pid), ordering: .relaxed)
  }

  /// Publishes this trainer's progress with its resume point.
  public func setRestoring(_ restoring: Restoring) {
    ring.half(HF_RING_RESTORING).pointee.store(restoring.rawValue, ordering: .releasing)
  }

  /// The supervisor's verdict on the resume point.
  public var verdict: PointVerdict {
    PointVerdict(rawValue: ring.half(HF_RING_VERDICT).pointee.load(ordering: .acquiring)) ?? .none
  }

  /// Increases while the supervisor verifies the resume point.
  public var verifiedBytes: UInt64 { ring.word(HF_RING_VERIFIED).pointee.load(ordering: .relaxed) }

  /// The slot for the state before the first step, if any.
  public var initialSlot: UInt32? {
    let slot = ring.half(HF_RING_INITIAL_SLOT).pointee.load(ordering: .acquiring)
    return slot > 0 && slot <= identity.arenaSlots ? slot - 1 : nil
  }

  /// The slots have allocated pages for images of this size; 0: not yet.
  @inline(__always)
  public var preparedBytes: UInt64 {
    ring.word(HF_RING_PREPARED_BYTES).pointee.load(ordering: .acquiring)
  }

  /// Shows that the trainer is alive; called at every step and safe point.
  @inline(__always)
  public func beat() {
    at.pointee.heartbeats &+= 1
    ring.word(HF_RING_HEARTBEAT).pointee.store(at.pointee.heartbeats, ordering: .relaxed)
  }

  /// Appends a record; `fill` writes exactly `bytes` bytes.
  /// - Returns: false when the ring is full. This is not counted as skipped: the caller retains and retries records
  ///   other than snapshots.
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
  ///   - metrics: in the order of the published names.
  ///   - parts: encoded by `EncodedParts`.
  ///   - image: the whole state for a full snapshot; otherwise empty.
  @inline(__always)
  public func appendSnapshot(
    step: UInt64, epoch: UInt64, batch: UInt64, samples: UInt64, timeNanoseconds: UInt64,
    phase: LoopState.Phase, metrics: UnsafeBufferPointer<Double>, parts: UnsafeRawBufferPointer,
    partCount: Int, image: UnsafeRawBufferPointer
  ) -> Bool {
    ring.word(HF_RING_LAST_STEP).pointee.store(step, ordering: .relaxed)
    let metricBytes = metrics.count &* 8
    let bytes = Int(HF_SNAPSHOT_BYTES) &+ metricBytes &+ parts.count &+ image.count
    // Counts that overflow their fields would make the record unreadable.
    let fits = metrics.count | partCount <= Int(UInt16.max)
    guard let record = fits ? reserve(bytes) : nil else { return countSkipped() }
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

  /// Space for a record after the last one, after padding if it would cross the ring's end.
  @inline(__always)
  private func reserve(_ payloadBytes: Int) -> UnsafeMutableRawPointer? {
    let need = (UInt64(payloadBytes) &+ UInt64(HF_RECORD_HEADER_BYTES) &+ 7) & ~7
    guard need <= capacity / 2 else { return nil }
    let remaining = capacity &- (at.pointee.written & mask)
    let total = need > remaining ? need &+ remaining : need
    if at.pointee.written &+ total &- at.pointee.consumed >= capacity {
      at.pointee.consumed = ring.word(HF_RING_CONSUMED).pointee.load(ordering: .acquiring)
      // A damaged position must not allow overwriting unread data.
      guard at.pointee.consumed <= at.pointee.written,
        at.pointee.written &+ total &- at.pointee.consumed < capacity
      else { return nil }
    }
    if need > remaining { pad(Int(remaining)) }
    return data + Int(at.pointee.written & mask)
  }

  @inline(never)
  private func countSkipped() -> Bool {
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
    // The CRC, which is computed with itself as zero, and the reserved word.
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

  /// The unanswered request, if any. Costs a single load if there is none.
  @inline(__always)
  public func pendingRequest() -> Request? {
    let sequence = ring.word(HF_RING_REQUEST_SEQUENCE).pointee.load(ordering: .relaxed)
    if sequence == at.pointee.answered { return nil }
    // A request for a later step waits for many steps. It never changes under the same sequence.
    if let request = at.pointee.request, request.sequence == sequence { return request }
    at.pointee.request = readRequest()
    return at.pointee.request
  }

  @inline(never)
  private func readRequest() -> Request? {
    let lock = ring.word(HF_RING_REQUEST_LOCK)
    let base = ring.mapping.base
    let before = lock.pointee.load(ordering: .acquiring)
    // It is being written, or its writer died: a later step checks again.
    guard before % 2 == 0 else { return nil }
    let bytes = ring.mapping.bytes
    let kind = bytes.u32(HF_RING_REQUEST_KIND)
    let request = Request(
      sequence: bytes.u64(HF_RING_REQUEST_SEQUENCE), kind: Request.Kind(rawValue: kind) ?? .none,
      slot: bytes.u32(HF_RING_REQUEST_SLOT), cutID: CutID(at: base + Int(HF_RING_REQUEST_CUT_ID)),
      targetStep: bytes.u64(HF_RING_REQUEST_TARGET_STEP),
      everyEpochs: bytes.u32(HF_RING_REQUEST_EVERY_EPOCHS),
      epochEnd: EpochEnd(rawValue: bytes.u32(HF_RING_REQUEST_EPOCH_END)) ?? .validation,
      generation: bytes.u64(HF_RING_REQUEST_GENERATION),
      deadlineNanoseconds: bytes.u64(HF_RING_REQUEST_DEADLINE_NS))
    atomicMemoryFence(ordering: .acquiring)
    guard lock.pointee.load(ordering: .relaxed) == before else { return nil }
    // Ignore requests of another generation.
    guard request.kind != .none, request.generation == identity.generation else {
      at.pointee.answered = request.sequence
      return nil
    }
    return request
  }

  /// Marks a request as answered.
  public func acknowledge(_ request: Request, _ outcome: Staged.Outcome) {
    at.pointee.answered = request.sequence
    ring.half(HF_RING_OUTCOME).pointee.store(outcome.rawValue, ordering: .relaxed)
    ring.word(HF_RING_ACKNOWLEDGED).pointee.store(request.sequence, ordering: .releasing)
  }

  /// Of the newest request that was answered; 0: none.
  public var acknowledgedSequence: UInt64 {
    ring.word(HF_RING_ACKNOWLEDGED).pointee.load(ordering: .relaxed)
  }

  /// The slot that may be filled without a request.
  public var spareSlot: UInt32? {
    let slot = ring.half(HF_RING_SPARE_SLOT).pointee.load(ordering: .acquiring)
    return slot < identity.arenaSlots ? slot : nil
  }
}
