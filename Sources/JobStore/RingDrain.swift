import LMDB
import TrainerProtocol

/// Reads records from a ring into a transaction or, while there can be none, into memory.
struct RingDrain {
  let attempt: UInt64
  let rank: UInt32
  var drained: Drained
  /// Highest recorded step.
  var lastStep: UInt64?
  /// Parts of the newest loop state, and the newest full snapshot, among the records read.
  var newestParts: [UInt8] = []
  var newestFull: [UInt8] = []
  var metricNames: [String]?
  private let acknowledged: Acknowledgement?
  private var isAtEnd = true
  /// For all attempts.
  var namesByAttempt: MetricNames
  /// Digests of the random streams and samplers of the current step.
  private var partDigests: [UInt32] = []

  /// - Parameter acknowledged: from the ring's header before records are read.
  init(
    attempt: UInt64, rank: UInt32, lastStep: UInt64?, stepDurations: StepDurations,
    namesByAttempt: MetricNames, acknowledged: Acknowledgement?
  ) {
    self.acknowledged = acknowledged
    self.attempt = attempt
    self.namesByAttempt = namesByAttempt
    self.rank = rank
    self.lastStep = lastStep
    drained = Drained(attempt: attempt)
    drained.stepDurations = StepDurations(after: stepDurations)
  }

  /// Reads up to `limit` records into `transaction`.
  /// - Returns: number of records read.
  mutating func drain(
    _ ring: RingReader, limit: Int, into transaction: borrowing Transaction, _ snapshots: Database
  ) throws -> Int {
    var lastKey = try Self.lastKey(transaction, snapshots, rank: rank)
    let arenaSlots = ring.identity.arenaSlots
    // Big-endian rank and step, modified in place for each row.
    var key = (UInt32(rank).bigEndian, UInt64(0), UInt32(0))
    let taken = try ring.drain(limit: limit) { kind, payload in
      guard kind == .snapshot else { return handle(kind, payload, arenaSlots) }
      guard let snapshot = snapshot(payload) else { return }
      let digests = snapshot.digests(each: &partDigests)
      let step = snapshot.step
      let isReplay = lastKey.map { step <= $0 } ?? false
      if !isReplay { lastKey = step }
      try withUnsafeMutableBytes(of: &key) { bytes in
        bytes.storeBytes(of: step.bigEndian, toByteOffset: 4, as: UInt64.self)
        let keyBytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[..<12])
        if isReplay, let recorded = try transaction.get(snapshots, keyBytes) {
          audit(step, recorded, snapshot, digests)
        }
        try transaction.put(
          snapshots, keyBytes,
          bytes: SnapshotRow.bytes(metricBytes: snapshot.metricBytes.count, parts: partDigests.count),
          append: !isReplay
        ) { SnapshotRow.write(snapshot, attempt: attempt, digests: digests, parts: partDigests, into: $0) }
      }
      count(snapshot, step)
    }
    isAtEnd = taken < limit
    return taken
  }

  /// Reads up to `limit` records and compares them with existing rows, without writing.
  /// - Returns: number of records read.
  mutating func compare(
    _ ring: RingReader, limit: Int, with transaction: ReadTransaction, _ snapshots: Database
  ) throws -> Int {
    let arenaSlots = ring.identity.arenaSlots
    return try ring.drain(limit: limit) { kind, payload in
      guard kind == .snapshot else { return handle(kind, payload, arenaSlots) }
      guard let snapshot = snapshot(payload) else { return }
      let digests = snapshot.digests(each: &partDigests)
      try Key.snapshot(rank: rank, step: snapshot.step).withUnsafeBytes { key in
        guard let recorded = try transaction.get(snapshots, key) else { return }
        audit(snapshot.step, recorded, snapshot, digests)
      }
      count(snapshot, snapshot.step)
    }
  }

  private mutating func audit(
    _ step: UInt64, _ recorded: UnsafeRawBufferPointer, _ snapshot: SnapshotView,
    _ digests: (rng: UInt64, sampler: UInt64)
  ) {
    let now = ReplayAudit.Step(
      attempt: attempt, epoch: snapshot.epoch, batch: snapshot.batch, digests: digests, parts: partDigests,
      metrics: snapshot.metricBytes,
      names: { EncodedParts.auditedNames(snapshot.partsBytes, count: snapshot.partCount) },
      chainedDigests: { snapshot.chainedDigests() })
    drained.audit.compare(step: step, recorded: recorded, with: now, namesByAttempt)
  }

  /// The step after which rows can be appended. Determined by keys, as damaged rows also prevent appending.
  static func lastKey(
    _ transaction: borrowing Transaction, _ snapshots: Database, rank: UInt32
  ) throws -> UInt64? {
    var cursor = try transaction.cursor(snapshots)
    guard let (key, _) = try cursor.last() else { return nil }
    // Another rank or an invalid key: do not append.
    guard key.count == Key.snapshotBytes, key.starts(with: Key.number(UInt64(rank)).suffix(4)) else {
      return .max
    }
    return Key.lastNumber(key)
  }

  /// Reads up to `limit` records and calls `append` with each row.
  mutating func drain(_ ring: RingReader, limit: Int, append: (_ step: UInt64, _ row: [UInt8]) -> Void) -> Int
  {
    let arenaSlots = ring.identity.arenaSlots
    let taken = ring.drain(limit: limit) { kind, payload in
      guard kind == .snapshot else { return handle(kind, payload, arenaSlots) }
      guard let snapshot = snapshot(payload) else { return }
      let digests = snapshot.digests(each: &partDigests)
      let bytes = SnapshotRow.bytes(metricBytes: snapshot.metricBytes.count, parts: partDigests.count)
      let row = [UInt8](unsafeUninitializedCapacity: bytes) { buffer, count in
        let raw = UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: bytes)
        SnapshotRow.write(snapshot, attempt: attempt, digests: digests, parts: partDigests, into: raw)
        count = bytes
      }
      append(snapshot.step, row)
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
    copyBytes(&newestMetrics, snapshot.metricBytes)
    copyBytes(&newestParts, snapshot.partsBytes)
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
  private func copyBytes(_ array: inout [UInt8], _ bytes: UnsafeRawBufferPointer) {
    if array.count == bytes.count {
      array.withUnsafeMutableBytes { $0.copyMemory(from: bytes) }
    } else {
      array = Array(bytes)
    }
  }

  /// Returns the report of the records read.
  mutating func finish(_ ring: RingReader) -> Drained {
    if let newest {
      let metrics = newestMetrics.withUnsafeBytes { bytes in
        (0..<bytes.count / 8).map { Double(bitPattern: bytes.word($0 * 8)) }
      }
      drained.newest = .init(
        step: newest.step, epoch: newest.epoch, batch: newest.batch, metrics: metrics, timeNs: newest.timeNs)
    }
    drained.heartbeat = ring.heartbeat
    drained.stateBytes = ring.stateBytes
    drained.skipped = ring.skipped
    drained.acknowledged = isAtEnd ? acknowledged : nil
    return drained
  }

  @inline(__always)
  private mutating func snapshot(_ payload: UnsafeRawBufferPointer) -> SnapshotView? {
    guard let snapshot = SnapshotView(payload), snapshot.phase <= LoopState.Phase.other.rawValue else {
      SnapshotView.problem(payload).map { note([$0]) }
      return SnapshotView(payload)
    }
    return snapshot
  }

  private mutating func handle(_ kind: RecordKind, _ payload: UnsafeRawBufferPointer, _ arenaSlots: UInt32) {
    switch kind {
    case .attached:
      let (value, problems) = RecordReading.attached(payload)
      note(problems)
      drained.controls.append(.attached(value))
    case .staged:
      let (value, problems) = RecordReading.staged(kind, payload, arenaSlots: arenaSlots)
      note(problems)
      if let value { drained.controls.append(.staged(value)) }
    case .finished:
      let (value, problems) = RecordReading.staged(kind, payload, arenaSlots: arenaSlots)
      note(problems)
      let end =
        value ?? Staged(requestSequence: 0, step: lastStep ?? 0, cutID: CutID(), slot: nil, outcome: .none)
      drained.controls.append(.finished(end))
    case .failure:
      let (value, problems) = RecordReading.failure(payload)
      note(problems)
      drained.controls.append(.failure(value))
    case .metricNames:
      let (names, problems) = RecordReading.metricNames(payload)
      note(problems)
      guard let names else { return }
      metricNames = names
      namesByAttempt.set(names, attempt: attempt)
      drained.controls.append(.metricNames(names))
    case .metrics:
      let (value, problems) = RecordReading.metrics(payload)
      note(problems)
      if let value { drained.controls.append(.metrics(value)) }
    case .snapshot, .padding:
      break
    }
  }

  /// Each field once, even if many records are invalid.
  private mutating func note(_ problems: [RecordProblem]) {
    for problem in problems
    where !drained.problems.contains(where: { $0.kind == problem.kind && $0.field == problem.field }) {
      if drained.problems.count < Self.longestProblems { drained.problems.append(problem) }
    }
  }

  private static let longestProblems = 32
}
