import Glibc
import LMDB
import POSIX
import Synchronization
import TrainerProtocol

/// The writer's loop. Used only by its thread.
final class WriterLoop {
  private let writer: StoreWriter
  private let store: JobStore
  private let environment: Environment
  private let interval: Duration
  private let commitInterval: Duration
  private let isWatched: @Sendable () -> Bool
  private let limits: StoreLimits
  private let report: @Sendable (StoreReport) -> Void

  private let intake: RingIntake
  private let newestWriter: NewestWriter
  private let reopening: StoreReopening
  private var thinning: Thinning
  private var headroom: FileHeadroom
  private var changes: PendingChanges
  private var held = HeldSnapshots()
  /// Set while the store cannot be written.
  private var degradation: Degradation?

  private var isDetaching = false
  private var isEnding = false
  /// Whether the remaining records of the ring were reported but must still be written and released.
  private var isReported = false
  /// CLOCK_MONOTONIC of the last commit.
  private var committedAt = Clock.monotonicNanoseconds
  private var pagesReleasedAt = Clock.monotonicNanoseconds

  init(
    _ writer: StoreWriter, _ store: JobStore, lookInterval: Duration, commitInterval: Duration,
    limits: StoreLimits, isWatched: @escaping @Sendable () -> Bool,
    report: @escaping @Sendable (StoreReport) -> Void
  ) {
    self.writer = writer
    self.store = store
    guard let environment = store.environment else { preconditionFailure("the store was opened read-only") }
    self.environment = environment
    interval = lookInterval
    self.commitInterval = commitInterval
    self.isWatched = isWatched
    self.limits = limits
    self.report = report
    intake = RingIntake(store)
    newestWriter = NewestWriter(store)
    reopening = StoreReopening(store: store, environment: environment)
    thinning = Thinning(limits)
    changes = PendingChanges(store, limits)
    headroom = FileHeadroom(store: store.directory)
    headroom.ensure(environment)
  }

  // MARK: The thread

  func run() {
    AttemptTotals.addIfMissing(to: store, environment)
    while true {
      writer.lastTurn.store(Clock.monotonicNanoseconds, ordering: .relaxed)
      let (attach, detach, isStopping) = drainInbox()
      if let attach {
        // Write the remaining records of the previous ring before the next one is attached.
        if isReported { _ = turn() }
        intake.attach(attach.ring, attempt: attach.attempt)
      }
      isDetaching = detach != nil
      isEnding = isStopping
      // Last chance to write.
      if isStopping { degradation?.tryNow() }
      var more = false
      if let detach {
        if detach.isDurable || isStopping || !reportRemaining() {
          while turn() {}
          intake.release()
        }
        // A waiting caller must not wait for the next attempt, too.
        more = changes.isAwaited
        isDetaching = false
        detach.completion()
      } else {
        more = turn()
      }
      if isStopping, endIfIdle() { return }
      if !more { writer.wakeUp.wait(timeout: pause) }
    }
  }

  private func drainInbox() -> (
    (ring: RingReader, attempt: UInt64)?, StoreWriter.Detachment?, isStopping: Bool
  ) {
    writer.inbox.withLock { inbox in
      changes.append(inbox.submissions)
      inbox.submissions = []
      defer {
        inbox.attach = nil
        inbox.detach = nil
      }
      if let step = inbox.oldestKept { thinning.oldestKept = step }
      if inbox.isExpectingAnswer { intake.expectAnswer() }
      inbox.isExpectingAnswer = false
      return (inbox.attach, inbox.detach, inbox.isStopping)
    }
  }

  private func endIfIdle() -> Bool {
    writer.inbox.withLock { inbox in
      inbox.hasEnded = inbox.submissions.isEmpty
      return inbox.hasEnded
    }
  }

  private var pause: Duration {
    degradation == nil ? intake.nextPause(usual: interval) : max(interval, .milliseconds(500))
  }

  /// Runs one transaction with everything that is pending.
  /// - Returns: whether more is already pending.
  private func turn() -> Bool {
    if let degradation { return retry(degradation) }
    if canDefer, deferCommit() { return false }
    var drain = intake.newDrain()
    do {
      let count = try commit(&drain)
      held = HeldSnapshots()
      committedAt = Clock.monotonicNanoseconds
      intake.ring?.releaseConsumed()
      changes.complete()
      finish(&drain)
      headroom.ensure(environment)
      releasePages()
      if intake.ring?.isIntact == false { abandonRing() }
      return count >= limits.batch
    } catch is RingLost {
      abandonRing()
      return true
    } catch {
      intake.ring?.rewind()
      var degradation = Degradation(error, limits)
      report(.degraded(Degradation.reason(error, store.directory)))
      degradation.backlog.append(held.rows, held.newest)
      held = HeldSnapshots()
      return retry(degradation)
    }
  }

  private func finish(_ drain: inout RingDrain) {
    guard intake.ring != nil else { return }
    intake.advance(past: drain)
    if isReported {
      isReported = false
      intake.release()
    } else {
      reportRecords(&drain)
    }
  }

  private func reportRecords(_ drain: inout RingDrain) {
    if let drained = intake.report(&drain) { report(.drained(drained)) }
  }

  private struct RingLost: Error {}

  /// Records that were drained since the last commit are lost, too.
  private func abandonRing() {
    intake.release()
    isReported = false
    report(.ringLost(attempt: intake.attempt))
  }

  /// Releases read pages of the map once a minute, as they count as this process's memory.
  private func releasePages() {
    let now = Clock.monotonicNanoseconds
    guard now > pagesReleasedAt + 60_000_000_000 else { return }
    pagesReleasedAt = now
    environment.releaseResidentPages()
  }

  // MARK: Without a commit

  /// Reports the remaining records of an exited trainer before they are written, as the supervisor's next
  /// decision depends on them. Until the commit, they stay in the ring for another supervisor to find.
  /// - Returns: false if they must be written first.
  private func reportRemaining() -> Bool {
    guard let ring = intake.ring, degradation == nil else { return false }
    var drain = intake.newDrain()
    let count: Int
    do {
      count = try environment.read { transaction in
        // The closure may be called again.
        ring.rewind()
        drain = intake.newDrain()
        return try drain.compare(ring, limit: limits.batch, with: transaction, store.databases.snapshots)
      }
    } catch {
      ring.rewind()
      return false
    }
    // A full snapshot is a resume point, which is read from the store.
    guard count < limits.batch, drain.newestFull.isEmpty, ring.isIntact else {
      ring.rewind()
      return false
    }
    reportRecords(&drain)
    ring.rewind()
    if count == 0, held.isEmpty { intake.release() }
    isReported = intake.ring != nil
    return true
  }

  private var canDefer: Bool {
    guard commitInterval > interval, intake.ring != nil, !isDetaching, !isReported, !isEnding,
      changes.canWait
    else { return false }
    let isDue = Clock.monotonicNanoseconds - committedAt >= UInt64(commitInterval / .nanoseconds(1))
    return !isDue && !isWatched()
  }

  /// Reads and reports the ring's records, and leaves them there for the next group commit.
  /// - Returns: false if something must be written immediately; nothing was read then.
  private func deferCommit() -> Bool {
    guard let ring = intake.ring else { return false }
    var drain = intake.newDrain()
    var rows: [(step: UInt64, row: [UInt8])] = []
    var highest = intake.lastStep
    var isReplay = false
    let count = drain.drain(ring, limit: limits.batch) { step, row in
      // Including repeats within this batch.
      if let highest, step <= highest { isReplay = true }
      highest = step
      rows.append((step, row))
    }
    // A replayed step must be compared with its row; a full snapshot is a resume point.
    let isRoutine = drain.drained.controls.allSatisfy { if case .staged = $0 { true } else { false } }
    guard !isReplay, isRoutine, drain.newestFull.isEmpty, count < limits.batch,
      !ring.needsRelease, ring.isIntact
    else {
      ring.rewind()
      return false
    }
    ring.markRetained()
    held.append(rows, Newest(drain))
    finish(&drain)
    return true
  }

  // MARK: A commit

  /// - Returns: number of records read from the ring.
  private func commit(_ drain: inout RingDrain) throws -> Int {
    while true {
      do {
        return try commitOnce(&drain)
      } catch let error as LMDBError where error.isMapFull || error.isDisturbed {
        intake.ring?.rewind()
        drain = intake.newDrain()
        if error.isMapFull { try growMap() } else { try reopen() }
      }
    }
  }

  /// Doubled, but by at most 1 GiB.
  private func growMap() throws {
    try environment.grow(toMapBytes: environment.mapBytes + min(environment.mapBytes, 1 << 30))
  }

  private func reopen() throws {
    guard case .replaced(let repair) = try reopening.run() else { return }
    changes.storeWasReplaced()
    // The names are written only when they change; without them, rows would be compared under wrong names.
    changes.append([
      .init(operations: [.document(MetricNames.document, intake.namesByAttempt)], completion: nil)
    ])
    report(.replaced(repair))
  }

  private func commitOnce(_ drain: inout RingDrain) throws -> Int {
    let snapshots = store.databases.snapshots
    guard let ring = intake.ring, isWorthwhile(ring) || !changes.isEmpty else {
      if changes.isEmpty, held.isEmpty { return 0 }
      try environment.write { transaction in
        try held.write(transaction, snapshots)
        try newestWriter.write(held.newest, transaction)
        try changes.apply(transaction)
      }
      return 0
    }
    var thinning = thinning
    let transaction = try Transaction(environment)
    try held.write(transaction, snapshots)
    let count = try drain.drain(ring, limit: limits.batch, into: transaction, snapshots)
    // Skip the commit and its fsync if there is nothing to write.
    if count == 0, changes.isEmpty, held.isEmpty { return 0 }
    guard ring.isIntact else { throw RingLost() }
    var newest = held.newest
    newest.update(with: Newest(drain))
    try newestWriter.write(newest, transaction)
    if let difference = drain.drained.audit.firstDifference {
      try newestWriter.write(difference, of: intake.attempt, transaction)
    }
    try changes.apply(transaction)
    try thinning.run(transaction, snapshots, newest: drain.lastStep ?? 0)
    try transaction.commit()
    self.thinning = thinning
    return count
  }

  /// Whether there may be records: avoids a transaction while the trainer writes nothing.
  private func isWorthwhile(_ ring: RingReader) -> Bool { isDetaching || isReported || ring.hasUnread }

  // MARK: While the store cannot be written

  /// Reads the ring into memory, so that records reach the supervisor and the ring does not fill, and tries
  /// to write again.
  /// - Returns: whether the ring has more records.
  private func retry(_ before: Degradation) -> Bool {
    var degradation = before
    var drain = intake.newDrain()
    var count = 0
    var rows: [(step: UInt64, row: [UInt8])] = []
    if let ring = intake.ring {
      count = drain.drain(ring, limit: limits.batch) { step, row in rows.append((step, row)) }
      if ring.isIntact {
        ring.releaseConsumed()
      } else {
        rows = []
        drain = intake.newDrain()
        abandonRing()
      }
    }
    degradation.backlog.append(rows, Newest(drain))
    finish(&drain)
    // Try immediately if a caller waits; otherwise only at intervals.
    if changes.isAwaited || degradation.isTryDue, write(&degradation) {
      self.degradation = nil
    } else {
      degradation.droppedRecords += changes.compactIfMany()
      self.degradation = degradation
    }
    return count >= limits.batch
  }

  /// - Returns: whether everything was written.
  private func write(_ degradation: inout Degradation) -> Bool {
    let audits: [UInt64: ReplayAudit]
    do {
      if degradation.mustReopen {
        try reopen()
        degradation.wasReopened()
      }
      audits = try write(degradation.backlog)
    } catch {
      degradation.failed(error)
      changes.fail()
      return false
    }
    changes.complete()
    for (attempt, audit) in audits where audit.replayed > 0 {
      var drained = Drained(attempt: attempt)
      drained.audit = audit
      drained.heartbeat = intake.heartbeat
      report(.drained(drained))
    }
    report(
      .recovered(droppedSnapshots: degradation.backlog.dropped, droppedRecords: degradation.droppedRecords))
    return true
  }

  /// - Returns: results of the comparison with earlier attempts, by attempt.
  private func write(_ backlog: Backlog) throws -> [UInt64: ReplayAudit] {
    while true {
      do {
        return try environment.write { transaction in
          let audits = try backlog.write(transaction, store.databases.snapshots, intake.namesByAttempt)
          try newestWriter.write(backlog.newest, transaction)
          for (attempt, audit) in audits.sorted(by: { $0.key < $1.key }) {
            if let difference = audit.firstDifference {
              try newestWriter.write(difference, of: attempt, transaction)
            }
          }
          try changes.apply(transaction)
          return audits
        }
      } catch let error as LMDBError where error.isMapFull {
        try growMap()
      }
    }
  }
}
