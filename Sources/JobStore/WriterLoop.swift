import Glibc
import LMDB
import POSIX
import Synchronization
import TrainerProtocol

/// What the writer's thread does. Only that thread touches it.
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
  /// What the ring still holds was reported already, and is to be written and released.
  private var isAnnounced = false
  /// When something was committed last, CLOCK_MONOTONIC.
  private var committedAt = Clock.monotonicNanoseconds
  private var pagesReleasedAt = Clock.monotonicNanoseconds

  init(
    _ writer: StoreWriter, _ store: JobStore, lookInterval: Duration, commitInterval: Duration,
    limits: StoreLimits, isWatched: @escaping @Sendable () -> Bool,
    report: @escaping @Sendable (StoreReport) -> Void
  ) {
    self.writer = writer
    self.store = store
    guard let environment = store.environment else { preconditionFailure("a store that is only read") }
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
    headroom.keep(environment)
  }

  // MARK: The thread

  func run() {
    AttemptTotals.addIfMissing(to: store, environment)
    while true {
      writer.lastTurn.store(Clock.monotonicNanoseconds, ordering: .relaxed)
      let (attach, detach, isStopping) = takeInbox()
      if let attach {
        // The next attempt's ring: what the last one's held is written by now, or was never waited for.
        if isAnnounced { _ = turn() }
        intake.attach(attach.ring, attempt: attach.attempt)
      }
      isDetaching = detach != nil
      isEnding = isStopping
      // The last chance to write.
      if isStopping { degradation?.tryNow() }
      var more = false
      if let detach {
        if detach.isDurable || isStopping || !announceRest() {
          while turn() {}
          intake.release()
        }
        // Whoever waits already does not wait for the next attempt as well.
        more = changes.isAwaited
        isDetaching = false
        detach.completion()
      } else {
        more = turn()
      }
      if isStopping, endIfNothingCame() { return }
      if !more { writer.wakeUp.wait(timeout: pause) }
    }
  }

  private func takeInbox() -> (
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

  private func endIfNothingCame() -> Bool {
    writer.inbox.withLock { inbox in
      inbox.hasEnded = inbox.submissions.isEmpty
      return inbox.hasEnded
    }
  }

  private var pause: Duration {
    degradation == nil ? intake.nextPause(usual: interval) : max(interval, .milliseconds(500))
  }

  /// One transaction with everything that is there.
  /// - Returns: whether more is waiting already.
  private func turn() -> Bool {
    if let degradation { return retry(degradation) }
    if canHold, hold() { return false }
    var drain = intake.newDrain()
    do {
      let count = try commit(&drain)
      held = HeldSnapshots()
      committedAt = Clock.monotonicNanoseconds
      intake.ring?.releaseConsumed()
      changes.complete()
      finish(&drain)
      headroom.keep(environment)
      releasePages()
      if intake.ring?.isIntact == false { loseRing() }
      return count >= limits.batch
    } catch is RingLost {
      loseRing()
      return true
    } catch {
      intake.ring?.rewind()
      var degradation = Degradation(error, limits)
      report(.degraded(reason(error)))
      degradation.backlog.append(held.rows, held.newest)
      held = HeldSnapshots()
      return retry(degradation)
    }
  }

  /// Reports what was read.
  private func finish(_ drain: inout RingDrain) {
    guard intake.ring != nil else { return }
    intake.advance(past: drain)
    if isAnnounced {
      isAnnounced = false
      intake.release()
    } else {
      reportNews(&drain)
    }
  }

  private func reportNews(_ drain: inout RingDrain) {
    if let news = intake.news(&drain) { report(.drained(news)) }
  }

  private struct RingLost: Error {}

  /// What was drained since the last commit is of no more worth than the rest.
  private func loseRing() {
    intake.release()
    isAnnounced = false
    report(.ringLost(attempt: intake.attempt))
  }

  /// Once a minute: pages of the map that were read count as this process's memory.
  private func releasePages() {
    let now = Clock.monotonicNanoseconds
    guard now > pagesReleasedAt + 60_000_000_000 else { return }
    pagesReleasedAt = now
    environment.releaseResidentPages()
  }

  // MARK: Without a commit

  /// Reports what is left in the ring of a trainer that has ended, before it is written: the supervisor decides by it
  /// what comes next. Until the commit the records stay in the ring, where another supervisor would find them.
  /// - Returns: false: it has to be written first.
  private func announceRest() -> Bool {
    guard let ring = intake.ring, degradation == nil else { return false }
    var drain = intake.newDrain()
    let count: Int
    do {
      count = try environment.read { transaction in
        // It may be asked again.
        ring.rewind()
        drain = intake.newDrain()
        return try drain.compare(ring, limit: limits.batch, with: transaction, store.databases.snapshots)
      }
    } catch {
      ring.rewind()
      return false
    }
    // A full snapshot is a place to resume from, which is looked for in the store.
    guard count < limits.batch, drain.newestFull.isEmpty, ring.isIntact else {
      ring.rewind()
      return false
    }
    reportNews(&drain)
    ring.rewind()
    if count == 0, held.isEmpty { intake.release() }
    isAnnounced = intake.ring != nil
    return true
  }

  private var canHold: Bool {
    guard commitInterval > interval, intake.ring != nil, !isDetaching, !isAnnounced, !isEnding,
      changes.canWait
    else { return false }
    let isDue = Clock.monotonicNanoseconds - committedAt >= UInt64(commitInterval / .nanoseconds(1))
    return !isDue && !isWatched()
  }

  /// Reads and reports what the ring has, and leaves it there for the next group commit.
  /// - Returns: false: there is something that has to be written at once. Then nothing was read.
  private func hold() -> Bool {
    guard let ring = intake.ring else { return false }
    var drain = intake.newDrain()
    var rows: [(step: UInt64, row: [UInt8])] = []
    var highest = intake.lastStep
    var isReplay = false
    let count = drain.drain(ring, limit: limits.batch) { step, row in
      // Also of one that came a moment before.
      if let highest, step <= highest { isReplay = true }
      highest = step
      rows.append((step, row))
    }
    // A step that is made again is compared with its row; a full snapshot is a place to resume from.
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

  /// - Returns: how many records were read from the ring.
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

  /// Doubling keeps small stores small; a gibibyte at a time is plenty for large ones.
  private func growMap() throws {
    try environment.grow(toMapBytes: environment.mapBytes + min(environment.mapBytes, 1 << 30))
  }

  private func reopen() throws {
    guard case .replaced(let repair) = try reopening.run() else { return }
    changes.storeWasReplaced()
    // Written when they change, and by nobody else: rows of attempts would be compared under wrong names.
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
    // Nothing to write: no commit, no fsync.
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

  /// A transaction costs more than a look: skip it while the trainer wrote nothing.
  private func isWorthwhile(_ ring: RingReader) -> Bool { isDetaching || isAnnounced || ring.hasUnread }

  // MARK: While the store cannot be written

  private func reason(_ error: any Error) -> String {
    // LMDB reports a full disk as EIO: a short write. Ask the filesystem before blaming the disk.
    let free = (try? FileSystem.availableBytes(store.directory)) ?? .max
    if free < 1 << 20 { return "the disk of \(store.directory) is full" }
    return "\(error)"
  }

  /// Reads the ring into memory, for the trainer's records must reach the supervisor and there must be room for more,
  /// and tries to write again.
  /// - Returns: whether more is waiting in the ring.
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
        loseRing()
      }
    }
    degradation.backlog.append(rows, Newest(drain))
    finish(&drain)
    // Whoever waits gets a true answer; without one, a full disk is left alone for a while.
    if changes.isAwaited || degradation.isTryDue, write(&degradation) {
      self.degradation = nil
    } else {
      degradation.droppedRecords += changes.compactIfMany()
      self.degradation = degradation
    }
    return count >= limits.batch
  }

  /// - Returns: whether everything is in the store.
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

  /// - Returns: what comparing with earlier attempts found, by attempt.
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
