import LMDB
import TrainerProtocol

/// Takes records from a ring into a transaction, or into memory while there can be none.
struct RingDrain {
  let attempt: UInt64
  let rank: UInt32
  var drained: Drained
  /// Highest step that was recorded.
  var lastStep: UInt64?
  /// The newest loop state's parts, and the newest full snapshot, of what was read.
  var newestParts: [UInt8] = []
  var newestFull: [UInt8] = []
  var metricNames: [String]?
  private let acknowledged: Acknowledgement?
  private var isAtEnd = true

  /// - Parameter acknowledged: what the header told before anything was read.
  init(
    attempt: UInt64, rank: UInt32, lastStep: UInt64?, stepDurations: StepDurations,
    acknowledged: Acknowledgement?
  ) {
    self.acknowledged = acknowledged
    self.attempt = attempt
    self.rank = rank
    self.lastStep = lastStep
    drained = Drained(attempt: attempt)
    drained.stepDurations = StepDurations(after: stepDurations)
  }

  /// Reads up to `limit` records into `transaction`.
  /// - Returns: how many there were.
  mutating func drain(
    _ ring: RingReader, limit: Int, into transaction: borrowing Transaction, _ snapshots: Database
  ) throws -> Int {
    var lastKey = try lastKey(transaction, snapshots)
    // Big-endian rank and step, rewritten in place for each row.
    var key = (UInt32(rank).bigEndian, UInt64(0), UInt32(0))
    let taken = try ring.drain(limit: limit) { kind, payload in
      guard kind == .snapshot else { return take(kind, payload) }
      guard let snapshot = SnapshotView(payload) else { return }
      let digests = snapshot.digests()
      let step = snapshot.step
      let isReplay = lastKey.map { step <= $0 } ?? false
      if !isReplay { lastKey = step }
      try withUnsafeMutableBytes(of: &key) { bytes in
        bytes.storeBytes(of: step.bigEndian, toByteOffset: 4, as: UInt64.self)
        let keyBytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[..<12])
        if isReplay, let recorded = try transaction.get(snapshots, keyBytes) {
          drained.audit.compare(
            step: step, recorded: recorded, with: snapshot, attempt: attempt, digests: digests)
        }
        try transaction.put(
          snapshots, keyBytes, bytes: SnapshotRow.headerBytes + snapshot.metricBytes.count, append: !isReplay
        ) { SnapshotRow.write(snapshot, attempt: attempt, digests: digests, into: $0) }
      }
      count(snapshot, step)
    }
    isAtEnd = taken < limit
    return taken
  }

  /// Reads up to `limit` records and compares them with the rows that are there, but writes nothing.
  /// - Returns: how many there were.
  mutating func compare(
    _ ring: RingReader, limit: Int, with transaction: borrowing Transaction, _ snapshots: Database
  ) throws -> Int {
    try ring.drain(limit: limit) { kind, payload in
      guard kind == .snapshot else { return take(kind, payload) }
      guard let snapshot = SnapshotView(payload) else { return }
      try Key.snapshot(rank: rank, step: snapshot.step).withUnsafeBytes { key in
        guard let recorded = try transaction.get(snapshots, key) else { return }
        drained.audit.compare(
          step: snapshot.step, recorded: recorded, with: snapshot, attempt: attempt,
          digests: snapshot.digests())
      }
      count(snapshot, snapshot.step)
    }
  }

  /// The step beyond which rows can be appended. By the keys: where the newest rows are damaged, they
  /// are in the way all the same.
  private func lastKey(_ transaction: borrowing Transaction, _ snapshots: Database) throws -> UInt64? {
    guard let (key, _) = try transaction.cursor(snapshots).last() else { return nil }
    // Of another rank, or no key of ours: then nothing is appended.
    guard key.count == Key.snapshotBytes, key.starts(with: Key.number(UInt64(rank)).suffix(4)) else {
      return .max
    }
    return Key.lastNumber(key)
  }

  /// Reads up to `limit` records, handing each row to `keep`.
  mutating func drain(_ ring: RingReader, limit: Int, keep: (_ step: UInt64, _ row: [UInt8]) -> Void) -> Int {
    let taken = ring.drain(limit: limit) { kind, payload in
      guard kind == .snapshot else { return take(kind, payload) }
      guard let snapshot = SnapshotView(payload) else { return }
      let bytes = SnapshotRow.headerBytes + snapshot.metricBytes.count
      let row = [UInt8](unsafeUninitializedCapacity: bytes) { buffer, count in
        let digests = snapshot.digests()
        let raw = UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: bytes)
        SnapshotRow.write(snapshot, attempt: attempt, digests: digests, into: raw)
        count = bytes
      }
      keep(snapshot.step, row)
      count(snapshot, snapshot.step)
    }
    isAtEnd = taken < limit
    return taken
  }

  @inline(__always)
  private mutating func count(_ snapshot: SnapshotView, _ step: UInt64) {
    drained.snapshots &+= 1
    if drained.firstStep == nil {
      drained.firstStep = step
      drained.firstStepAtNs = snapshot.timeNanoseconds
    }
    drained.stepDurations.add(step: step, timeNs: snapshot.timeNanoseconds)
    lastStep = max(lastStep ?? 0, step)
    newest = (step, snapshot.epoch, snapshot.batch, snapshot.timeNanoseconds)
    keepBytes(&newestMetrics, snapshot.metricBytes)
    keepBytes(&newestParts, snapshot.partsBytes)
    newestPartCount = snapshot.partCount
    if snapshot.image.count > 0 {
      newestFull.removeAll(keepingCapacity: true)
      withUnsafeBytes(of: step.littleEndian) { newestFull.append(contentsOf: $0) }
      newestFull.append(contentsOf: snapshot.image)
    }
  }

  private var newest: (step: UInt64, epoch: UInt64, batch: UInt64, timeNs: UInt64)?
  private var newestMetrics: [UInt8] = []
  var newestPartCount = 0

  @inline(__always)
  private func keepBytes(_ array: inout [UInt8], _ bytes: UnsafeRawBufferPointer) {
    if array.count == bytes.count {
      array.withUnsafeMutableBytes { $0.copyMemory(from: bytes) }
    } else {
      array = Array(bytes)
    }
  }

  /// What was read, ready to be told.
  mutating func finish(_ ring: RingReader) -> Drained {
    if let newest {
      let metrics = newestMetrics.withUnsafeBytes { bytes in
        (0..<bytes.count / 8).map { Double(bitPattern: bytes.word($0 * 8)) }
      }
      drained.newest = .init(
        step: newest.step, epoch: newest.epoch, batch: newest.batch, metrics: metrics, timeNs: newest.timeNs)
    }
    drained.heartbeat = ring.heartbeat
    drained.skipped = ring.skipped
    drained.acknowledged = isAtEnd ? acknowledged : nil
    return drained
  }

  private mutating func take(_ kind: RecordKind, _ payload: UnsafeRawBufferPointer) {
    switch kind {
    case .attached:
      if let value: Attached = JSON.decode(payload) { drained.controls.append(.attached(value)) }
    case .staged:
      if let value = Staged(decoding: payload) { drained.controls.append(.staged(value)) }
    case .finished:
      if let value = Staged(decoding: payload) { drained.controls.append(.finished(value)) }
    case .failure:
      if let value: Failure = JSON.decode(payload) { drained.controls.append(.failure(value)) }
    case .metricNames:
      if let value: [String] = JSON.decode(payload) {
        metricNames = value
        drained.controls.append(.metricNames(value))
      }
    case .snapshot, .padding:
      break
    }
  }
}
