import Glibc
import LMDB
import POSIX
import Synchronization
import TrainerProtocol

/// What the writer's thread does. Only that thread touches it.
final class WriterLoop {
  private let writer: StoreWriter
  private let store: JobStore
  private let interval: Duration
  private let limits: StoreLimits
  private let report: @Sendable (StoreReport) -> Void

  private var ring: RingReader?
  private var attempt: UInt64 = 0
  private var lastStep: UInt64?
  private var nextEvent: UInt64 = 1
  private var thinning: Thinning
  private var headroom: FileHeadroom
  private var heartbeat: UInt64 = 0
  private var isDetaching = false
  /// Pause after which an answer of the trainer is looked for, up to `interval`; nil: none is due.
  private var answerPause: Duration?

  /// Not yet durable, in order.
  private var waiting: [StoreWriter.Submission] = []
  private var backlog = Backlog()
  private var degradedSince: UInt64?

  init(
    _ writer: StoreWriter, _ store: JobStore, commitInterval: Duration, limits: StoreLimits,
    report: @escaping @Sendable (StoreReport) -> Void
  ) {
    self.writer = writer
    self.store = store
    interval = commitInterval
    self.limits = limits
    self.report = report
    thinning = Thinning(limits)
    headroom = FileHeadroom(store: store.directory)
    headroom.keep(usedBytes: store.usedBytes)
    lastStep = (try? store.newestSnapshots(1))?.last?.step
    nextEvent = ((try? store.events(limit: 1))?.last?.sequence ?? 0) + 1
  }

  func run() {
    while true {
      writer.lastTurn.store(Clock.monotonicNanoseconds, ordering: .relaxed)
      let (attach, detach, isStopping) = writer.inbox.withLock { inbox in
        waiting += inbox.submissions
        inbox.submissions = []
        defer {
          inbox.attach = nil
          inbox.detach = nil
        }
        if let step = inbox.oldestKept { thinning.oldestKept = step }
        if inbox.isExpectingAnswer { answerPause = .milliseconds(2) }
        inbox.isExpectingAnswer = false
        return (inbox.attach, inbox.detach, inbox.isStopping)
      }
      if let attach {
        ring = attach.ring
        attempt = attach.attempt
        heartbeat = 0
      }
      isDetaching = detach != nil
      var more = turn()
      if let detach {
        while more { more = turn() }
        ring = nil
        isDetaching = false
        detach()
      }
      if isStopping, writer.inbox.withLock({ $0.submissions.isEmpty }) { return }
      if !more { writer.wakeUp.wait(timeout: pause) }
    }
  }

  private var pause: Duration? {
    if degradedSince != nil { return max(interval, .milliseconds(500)) }
    guard ring != nil, let answerPause else { return interval }
    // A fast loop answers at once; a slow one must not be asked for it all the time.
    self.answerPause = answerPause * 2
    return min(interval, answerPause)
  }

  /// One transaction with everything that is there.
  /// - Returns: whether more is waiting already.
  private func turn() -> Bool {
    guard degradedSince == nil else { return retry() }
    var drain = RingDrain(attempt: attempt, rank: 0, lastStep: lastStep)
    do {
      let count = try commit(&drain)
      ring?.releaseConsumed()
      finish(&drain, durable: true)
      headroom.keep(usedBytes: store.usedBytes)
      return count >= limits.batch
    } catch {
      ring?.rewind()
      degrade(error)
      return retry()
    }
  }

  /// - Returns: how many records were taken from the ring.
  private func commit(_ drain: inout RingDrain) throws -> Int {
    while true {
      do {
        return try commitOnce(&drain)
      } catch let error as LMDBError where error.isMapFull {
        ring?.rewind()
        drain = RingDrain(attempt: attempt, rank: 0, lastStep: lastStep)
        try store.environment.grow(toMapBytes: store.environment.mapBytes * 2)
      }
    }
  }

  private func commitOnce(_ drain: inout RingDrain) throws -> Int {
    let databases = store.databases
    guard let ring, drainIsWorthwhile(ring) || !waiting.isEmpty else {
      if waiting.isEmpty { return 0 }
      try store.environment.write { try apply($0) }
      return 0
    }
    let transaction = try Transaction(store.environment, readOnly: false)
    let count = try drain.drain(ring, limit: limits.batch, into: transaction, databases.snapshots)
    // Nothing to write: no commit, no fsync.
    if count == 0, waiting.isEmpty { return 0 }
    try keepNewest(drain, transaction)
    try apply(transaction)
    try thinning.run(transaction, databases.snapshots, newest: drain.lastStep ?? 0)
    try transaction.commit()
    return count
  }

  /// A transaction costs more than a look: skip it while the trainer made no sign.
  private func drainIsWorthwhile(_ ring: RingReader) -> Bool { isDetaching || ring.hasUnread }

  private func apply(_ transaction: borrowing Transaction) throws {
    var event = nextEvent
    for submission in waiting {
      for operation in submission.operations { try apply(operation, transaction, &event) }
    }
  }

  private func apply(
    _ operation: StoreOperation, _ transaction: borrowing Transaction, _ event: inout UInt64
  ) throws {
    let database =
      switch operation.target {
      case .checkpoints: store.databases.checkpoints
      case .attempts: store.databases.attempts
      case .events: store.databases.events
      case .meta: store.databases.meta
      }
    guard let value = operation.value else {
      _ = try operation.key.withUnsafeBytes { try transaction.delete(database, $0) }
      return
    }
    guard operation.target == .events else {
      return try JobStore.put(transaction, database, operation.key, value)
    }
    guard var record: EventRecord = JSON.decode(value) else { return }
    record.sequence = event
    try JobStore.put(transaction, database, Key.number(event), JSON.encode(record))
    if event > limits.events {
      _ = try Key.number(event - limits.events).withUnsafeBytes { try transaction.delete(database, $0) }
    }
    event += 1
  }

  /// The whole loop state is kept of the newest step only, as is the newest full snapshot.
  private func keepNewest(_ drain: RingDrain, _ transaction: borrowing Transaction) throws {
    let meta = store.databases.meta
    if drain.drained.snapshots > 0, !drain.newestParts.isEmpty {
      try JobStore.put(transaction, meta, Array("loop_state/0".utf8), drain.newestParts)
    }
    if !drain.newestFull.isEmpty {
      try JobStore.put(transaction, meta, Array("full_snapshot/0".utf8), drain.newestFull)
    }
    if let names = drain.metricNames {
      try JobStore.put(transaction, meta, Array("metric_names".utf8), JSON.encode(names))
    }
  }

  /// Tells what was read, and who waited that it is done.
  private func finish(_ drain: inout RingDrain, durable: Bool) {
    if durable {
      nextEvent += UInt64(waiting.flatMap(\.operations).filter { $0.target == .events }.count)
      for submission in waiting { submission.completion?(true) }
      waiting = []
    }
    guard let ring else { return }
    lastStep = drain.lastStep
    let drained = drain.finish(ring)
    let isNews = drained.snapshots > 0 || !drained.controls.isEmpty || drained.heartbeat != heartbeat
    heartbeat = drained.heartbeat
    for case .staged in drained.controls { answerPause = nil }
    if isNews { report(.drained(drained)) }
  }

  // MARK: When the store cannot be written

  private func degrade(_ error: any Error) {
    degradedSince = Clock.monotonicNanoseconds
    report(.degraded(reason(error)))
  }

  private func reason(_ error: any Error) -> String {
    // LMDB reports a full disk as EIO: a short write. Ask the filesystem before blaming the disk.
    let free = (try? FileSystem.availableBytes(store.directory)) ?? .max
    if free < 1 << 20 { return "the disk of \(store.directory) is full" }
    return "\(error)"
  }

  /// Keeps the trainer's words coming, and tries to write again.
  private func retry() -> Bool {
    var drain = RingDrain(attempt: attempt, rank: 0, lastStep: lastStep)
    var count = 0
    if let ring {
      count = drain.drain(ring, limit: limits.batch) { step, row in
        backlog.append(step, row, limit: limits.backlogBytes)
      }
      ring.releaseConsumed()
    }
    finish(&drain, durable: false)
    do {
      try writeBacklog(drain)
      let dropped = backlog.dropped
      backlog = Backlog()
      degradedSince = nil
      nextEvent += UInt64(waiting.flatMap(\.operations).filter { $0.target == .events }.count)
      for submission in waiting { submission.completion?(true) }
      waiting = []
      report(.recovered(droppedSnapshots: dropped))
    } catch {
      // Whoever waits is told; the changes themselves are kept for the next try.
      for submission in waiting { submission.completion?(false) }
      for index in waiting.indices { waiting[index].completion = nil }
    }
    return count >= limits.batch
  }

  private func writeBacklog(_ drain: RingDrain) throws {
    while true {
      do {
        try store.environment.write { transaction in
          for (step, row) in backlog.rows {
            try JobStore.put(
              transaction, store.databases.snapshots, Key.snapshot(rank: 0, step: step), row)
          }
          try keepNewest(drain, transaction)
          try apply(transaction)
        }
        return
      } catch let error as LMDBError where error.isMapFull {
        try store.environment.grow(toMapBytes: store.environment.mapBytes * 2)
      }
    }
  }
}

/// Rows that wait for the store, the oldest given up first.
private struct Backlog {
  private(set) var rows: [(step: UInt64, row: [UInt8])] = []
  private(set) var dropped: UInt64 = 0
  private var bytes = 0

  mutating func append(_ step: UInt64, _ row: [UInt8], limit: Int) {
    rows.append((step, row))
    bytes += row.count + 64
    guard bytes > limit else { return }
    // Half at a time: dropping one by one would move all the others each time.
    let half = rows.count / 2
    dropped += UInt64(half)
    rows.removeFirst(half)
    bytes = rows.reduce(0) { $0 + $1.row.count + 64 }
  }
}
