import Glibc
import LMDB
import POSIX
import Reporting
import Synchronization
import TrainerProtocol

/// What the writer's thread does. Only that thread touches it.
final class WriterLoop {
  private let writer: StoreWriter
  let store: JobStore
  let environment: Environment
  let interval: Duration
  let commitInterval: Duration
  let isWatched: @Sendable () -> Bool
  let limits: StoreLimits
  let report: @Sendable (StoreReport) -> Void

  var ring: RingReader?
  var attempt: UInt64 = 0
  var lastStep: UInt64?
  var namesByAttempt: MetricNames
  private var partNames = PartNames()
  /// Of the newest records of this attempt.
  private var stepDurations = StepDurations()
  var nextEvent: UInt64 = 1
  private var thinning: Thinning
  private var headroom: FileHeadroom
  var heartbeat: UInt64 = 0
  /// Sequence of the newest request whose answer was told.
  private var acknowledged: UInt64 = 0
  var isDetaching = false
  var isEnding = false
  /// Snapshots that were read and told, and wait for the next group commit.
  var held = Held()
  /// When something was committed last.
  var committedAt = Clock.monotonicNanoseconds
  /// What the ring still holds was told already, and is to be written and let go.
  var isAnnounced = false
  /// Pause after which an answer of the trainer is looked for, up to `interval`; nil: none is due.
  private var answerPause: Duration?

  /// Not yet durable, in order.
  var waiting: [StoreWriter.Submission] = []
  /// Set while the store cannot be written.
  var degradation: Degradation?
  private var careTakenAt = Clock.monotonicNanoseconds

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
    thinning = Thinning(limits)
    headroom = FileHeadroom(store: store.directory)
    headroom.keep(environment)
    namesByAttempt = MetricNames(ofAll: (try? store.metricNames()) ?? [])
    if let known: MetricNames = try? store.document(Self.namesKey) { namesByAttempt = known }
    if let known: PartNames = try? store.document(Self.partNamesKey) { partNames = known }
    lastStep = (try? store.newestSnapshots(1))?.last?.step
    nextEvent = ((try? store.events.lastNumber) ?? 0) + 1
  }

  func run() {
    sumUpOldStore()
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
        // The next attempt's ring: what the last one's held is written by now, or was never waited for.
        if isAnnounced { _ = turn() }
        ring = attach.ring
        attempt = attach.attempt
        heartbeat = 0
        acknowledged = 0
        stepDurations = StepDurations()
      }
      isDetaching = detach != nil
      isEnding = isStopping
      // The last chance to write.
      if isStopping { degradation?.nextTryAt = 0 }
      var more = false
      if let detach {
        if detach.isDurable || isStopping || !announceRest() {
          while turn() {}
          ring = nil
        }
        // Whoever waits already does not wait for the next attempt as well.
        more = waiting.contains { $0.completion != nil }
        isDetaching = false
        detach.completion()
      } else {
        more = turn()
      }
      if isStopping, endIfNothingCame() { return }
      if !more { writer.wakeUp.wait(timeout: pause) }
    }
  }

  /// Tells what is left in the ring of a trainer that has ended, before it is written: by that the supervisor decides
  /// what comes next. Until the commit the records stay in the ring, where another supervisor would find them.
  /// - Returns: false: it has to be written first.
  private func announceRest() -> Bool {
    guard let ring, degradation == nil else { return false }
    var drain = newDrain()
    let count: Int
    do {
      count = try environment.read { transaction in
        // It may be asked again.
        ring.rewind()
        drain = newDrain()
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
    tell(&drain, ring)
    ring.rewind()
    if count == 0, held.rows.isEmpty { self.ring = nil }
    isAnnounced = self.ring != nil
    return true
  }

  func newDrain() -> RingDrain {
    // Before the records are read: that of an answer was written before the header told of it.
    RingDrain(
      attempt: attempt, rank: 0, lastStep: lastStep, stepDurations: stepDurations,
      namesByAttempt: namesByAttempt, acknowledged: ring?.acknowledged)
  }

  private func endIfNothingCame() -> Bool {
    writer.inbox.withLock { inbox in
      inbox.hasEnded = inbox.submissions.isEmpty
      return inbox.hasEnded
    }
  }

  private var pause: Duration? {
    if degradation != nil { return max(interval, .milliseconds(500)) }
    guard ring != nil, let answerPause else { return interval }
    // A fast loop answers at once; a slow one must not be asked for it all the time.
    self.answerPause = min(interval, answerPause * 2)
    return min(interval, answerPause)
  }

  /// One transaction with everything that is there.
  /// - Returns: whether more is waiting already.
  private func turn() -> Bool {
    if let degradation { return retry(degradation) }
    if canWait, hold() { return false }
    var drain = newDrain()
    do {
      let count = try commit(&drain)
      held = Held()
      committedAt = Clock.monotonicNanoseconds
      ring?.releaseConsumed()
      finish(&drain, durable: true)
      headroom.keep(environment)
      takeCare()
      if ring?.isIntact == false { loseRing() }
      return count >= limits.batch
    } catch is RingLost {
      loseRing()
      return true
    } catch {
      ring?.rewind()
      degrade(error)
      for (step, row) in held.rows { degradation?.backlog.append(step, row, limit: limits.backlogBytes) }
      degradation?.newest.take(held.newest)
      held = Held()
      return degradation.map { retry($0) } ?? false
    }
  }

  private struct RingLost: Error {}

  /// What was drained since the last commit is of no more worth than the rest.
  func loseRing() {
    ring = nil
    isAnnounced = false
    report(.ringLost(attempt: attempt))
  }

  /// Now and then: what was looked at in the map counts as our memory.
  private func takeCare() {
    let now = Clock.monotonicNanoseconds
    guard now > careTakenAt + 60_000_000_000 else { return }
    careTakenAt = now
    environment.releaseResidentPages()
  }

  /// - Returns: how many records were taken from the ring.
  private func commit(_ drain: inout RingDrain) throws -> Int {
    while true {
      do {
        return try commitOnce(&drain)
      } catch let error as LMDBError where error.isMapFull || error.isDisturbed {
        ring?.rewind()
        drain = newDrain()
        if error.isMapFull { try growMap() } else { try openAgain() }
      }
    }
  }

  /// Doubling keeps small stores small; a gibibyte at a time is plenty for large ones.
  func growMap() throws {
    try environment.grow(toMapBytes: environment.mapBytes + min(environment.mapBytes, 1 << 30))
  }

  private func commitOnce(_ drain: inout RingDrain) throws -> Int {
    let databases = store.databases
    guard let ring, drainIsWorthwhile(ring) || !waiting.isEmpty else {
      if waiting.isEmpty, held.rows.isEmpty { return 0 }
      try environment.write { transaction in
        try writeHeld(transaction)
        try keep(held.newest, transaction)
        try apply(transaction)
      }
      return 0
    }
    var thinning = thinning
    let transaction = try Transaction(environment)
    try writeHeld(transaction)
    let count = try drain.drain(ring, limit: limits.batch, into: transaction, databases.snapshots)
    // Nothing to write: no commit, no fsync.
    if count == 0, waiting.isEmpty, held.rows.isEmpty { return 0 }
    guard ring.isIntact else { throw RingLost() }
    var newest = held.newest
    newest.take(Newest(drain))
    try keep(newest, transaction)
    if let difference = drain.drained.audit.firstDifference { try keep(difference, of: attempt, transaction) }
    try apply(transaction)
    try thinning.run(transaction, databases.snapshots, newest: drain.lastStep ?? 0)
    try transaction.commit()
    self.thinning = thinning
    return count
  }

  /// A transaction costs more than a look: skip it while the trainer made no sign.
  private func drainIsWorthwhile(_ ring: RingReader) -> Bool { isDetaching || isAnnounced || ring.hasUnread }

  /// What is kept of the newest step only: its whole loop state, the newest full snapshot, and the
  /// names of the metrics.
  func keep(_ newest: Newest, _ transaction: borrowing Transaction) throws {
    let meta = store.databases.meta
    if !newest.parts.isEmpty {
      try JobStore.put(transaction, meta, Array("loop_state/0".utf8), newest.parts)
      let names = newest.parts.withUnsafeBytes { EncodedParts.auditedNames($0, count: newest.partCount) }
      partNames.set(
        names.map { .init(kind: .init(rawValue: $0.kind) ?? .other, name: $0.name) }, attempt: newest.attempt)
      try JobStore.put(transaction, meta, Array(Self.partNamesKey.utf8), JSON.encode(partNames))
    }
    if !newest.full.isEmpty {
      try JobStore.put(transaction, meta, Array("full_snapshot/0".utf8), newest.full)
      let digest = withUnsafeBytes(
        of: newest.full.withUnsafeBytes { XXH64.hash($0) }.littleEndian, Array.init)
      try JobStore.put(transaction, meta, Array("full_snapshot_digest/0".utf8), digest)
    }
    if let names = newest.metricNames {
      try JobStore.put(transaction, meta, Array("metric_names".utf8), JSON.encode(names))
    }
    if let names = newest.namesByAttempt {
      try JobStore.put(transaction, meta, Array(Self.namesKey.utf8), JSON.encode(names))
    }
  }

  static let namesKey = "metric_names_by_attempt"
  static let partNamesKey = "part_names_by_attempt"

  /// With the rows that took the place of what they are compared with: a death right after that commit must
  /// not take what was found with it. The first one stays.
  func keep(
    _ difference: ReplayAudit.Difference, of attempt: UInt64, _ transaction: borrowing Transaction
  ) throws {
    let (meta, key) = (store.databases.meta, Array(JobStore.deviationKey.utf8))
    guard try key.withUnsafeBytes({ try transaction.get(meta, $0) }) == nil else { return }
    let deviation = Deviation(attempt: attempt, difference: difference)
    try JobStore.put(transaction, meta, key, JSON.encode(deviation))
  }

  /// After the commit that held them.
  func completeWaiting() {
    guard !waiting.isEmpty else { return }
    nextEvent += UInt64(waiting.flatMap(\.operations).filter { $0.target == .events }.count)
    let done = waiting
    waiting = []
    for submission in done { submission.completion?(true) }
  }

  /// Tells what was read, and who waited that it is done.
  func finish(_ drain: inout RingDrain, durable: Bool) {
    if durable { completeWaiting() }
    guard let ring else { return }
    lastStep = drain.lastStep
    namesByAttempt = drain.namesByAttempt
    guard isAnnounced else { return tell(&drain, ring) }
    isAnnounced = false
    self.ring = nil
  }

  private func tell(_ drain: inout RingDrain, _ ring: RingReader) {
    let drained = drain.finish(ring)
    stepDurations = drained.stepDurations
    let isAnswered = drained.acknowledged.map { $0.sequence != acknowledged } ?? false
    acknowledged = drained.acknowledged?.sequence ?? acknowledged
    let isNews =
      drained.snapshots > 0 || !drained.controls.isEmpty || !drained.problems.isEmpty
      || drained.heartbeat != heartbeat || isAnswered
    heartbeat = drained.heartbeat
    for case .staged in drained.controls { answerPause = nil }
    if isAnswered { answerPause = nil }
    if isNews { report(.drained(drained)) }
  }
}
