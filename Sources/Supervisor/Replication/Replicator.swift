import Checkpoints
import Glibc
import JobStore
import POSIX
import Reporting
import Storage
import Synchronization
import SystemPackage
import TrainerProtocol

/// Copies durable checkpoints to the remote, and maintains the heartbeat there, each on a thread of its own: whatever the
/// remote does, nothing else waits for it. A third thread notices when it does nothing.
final class Replicator: Sendable {
  struct Order: Sendable {
    var record: CheckpointRecord
    var path: FilePath
  }

  enum Report: Sendable {
    case replicated(CheckpointRecord, StorageKey, took: Duration)
    /// What is there now.
    case listed(Set<StorageKey>)
    /// It will be tried again, with the next checkpoint or after the pause.
    case failed(CheckpointRecord, why: String, hint: Hint?, retryIn: Duration)
    /// The history is not up to date there, or old checkpoints stay. It is done again later.
    case upkeepFailed(String)
    case upkeepDone
    case heartbeatFailed(String)
    case heartbeatWritten
    /// Another machine runs the job.
    case takenOver(host: String)
    /// Everything that was submitted is replicated, or was given up.
    case idle
  }

  private struct State {
    /// The newest one of the whole state that waits, and the newest one with only weights.
    var waiting = Pair<Order>()
    var current: Order?
    var lastAtNs = Pair<UInt64>()
    /// Of the newest ones that are replicated.
    var lastName = Pair<String>()
    var lastKey = Pair<StorageKey>()
    /// The storage accepted their removal.
    var removed: Set<StorageKey> = []
    /// Listed there, but damaged or missing.
    var unusable: Set<StorageKey>
    /// Replicate without waiting for the interval, then report `idle`.
    var isFlushing = false
    var isStopping = false
    var isTakenOver = false
  }

  /// A value for checkpoints of the whole state, and one for those with only weights: neither waits for the other.
  private struct Pair<Value> {
    private var values: [Bool: Value] = [:]

    subscript(record: CheckpointRecord) -> Value? {
      get { values[record.isWhole] }
      set { values[record.isWhole] = newValue }
    }

    /// That of the whole state first.
    var all: [Value] { [values[true], values[false]].compactMap(\.self) }
  }

  private let remote: Remote
  private let jobID: String
  private let mark: UInt32
  private let history: @Sendable () -> RemoteHistory?
  private let report: @Sendable (Report) -> Void
  private let state: Mutex<State>
  private let cancelled = Atomic(false)
  private let wakeUp: WakeUp
  private let heartbeatWakeUp: WakeUp
  private let watchWakeUp: WakeUp
  /// When the heartbeat that is being written was begun, CLOCK_MONOTONIC; 0: none is.
  private let beatBeganNs = Atomic<UInt64>(0)
  /// Of the checkpoint that is being transferred.
  let completedBytes = Atomic<UInt64>(0)
  let totalBytes = Atomic<UInt64>(0)

  /// - Parameters:
  ///   - mark: of this run of the supervisor.
  ///   - unusable: checkpoints there that were found damaged or missing.
  ///   - history: returns what is stored beside the checkpoints; called on the replicator's thread.
  init(
    _ remote: Remote, jobID: String, mark: UInt32, unusable: Set<StorageKey>,
    history: @escaping @Sendable () -> RemoteHistory?, report: @escaping @Sendable (Report) -> Void
  ) throws(POSIXError) {
    self.remote = remote
    self.jobID = jobID
    self.mark = mark
    self.history = history
    self.report = report
    state = Mutex(State(unusable: unusable))
    wakeUp = try WakeUp()
    heartbeatWakeUp = try WakeUp()
    watchWakeUp = try WakeUp()
    try NativeThread.start(niceness: 10) { [self] in replicate() }
    if remote.objects != nil {
      try NativeThread.start(niceness: 5) { [self] in beat() }
      try NativeThread.start { [self] in watch() }
    }
  }

  /// Replaces an older checkpoint that still waits.
  func submit(_ order: Order) {
    state.withLock { state in
      let record = order.record
      let isDone = [state.current?.record.name, state.lastName[record]].contains(record.name)
      if !isDone, record.step >= state.waiting[record]?.record.step ?? 0 { state.waiting[record] = order }
    }
    wakeUp.signal()
  }

  /// Whether the files of this checkpoint are needed.
  func isUsing(_ name: String) -> Bool {
    state.withLock { state in
      state.current?.record.name == name || state.waiting.all.contains { $0.record.name == name }
    }
  }

  /// Replicates what waits now, and reports `idle` then.
  func flush() {
    state.withLock { $0.isFlushing = true }
    wakeUp.signal()
  }

  /// Ends transfers in progress, and both threads.
  func stop() {
    state.withLock { $0.isStopping = true }
    cancelled.store(true, ordering: .relaxed)
    wakeUp.signal()
    heartbeatWakeUp.signal()
    watchWakeUp.signal()
  }

  private var isCancelled: Transfer.Cancellation { { [self] in cancelled.load(ordering: .relaxed) } }

  // MARK: Checkpoints

  private static let shortestPause = Duration.seconds(5)
  private static let longestPause = Duration.seconds(300)

  private func replicate() {
    var pause = Self.shortestPause
    var isUpkeepDue = false
    while true {
      let (order, wait, isFlushing) = next()
      if state.withLock(\.isStopping) { return }
      guard let order else {
        if isFlushing { finishFlush() }
        let patience = [wait, isUpkeepDue ? Self.longestPause : nil].compactMap(\.self).min()
        wakeUp.wait(timeout: patience)
        if isUpkeepDue { isUpkeepDue = !keepUp(prunes: true) }
        continue
      }
      do throws(StorageError) {
        try save(order)
        pause = Self.shortestPause
        isUpkeepDue = !keepUp(prunes: true)
      } catch {
        guard !state.withLock(\.isStopping) else { return }
        restore(order)
        report(.failed(order.record, why: error.reason, hint: error.hint, retryIn: pause))
        let began = Clock.monotonicNanoseconds
        wakeUp.wait(timeout: pause)
        // A new checkpoint ends the wait, and says nothing about the storage.
        if .nanoseconds(Clock.monotonicNanoseconds - began) >= pause {
          pause = min(pause * 2, Self.longestPause)
        }
      }
    }
  }

  /// The checkpoint to replicate now; else the time until one is due, nil for any time.
  private func next() -> (Order?, wait: Duration?, isFlushing: Bool) {
    state.withLock { state in
      guard !state.isTakenOver, !state.waiting.all.isEmpty else { return (nil, nil, state.isFlushing) }
      var wait: Duration?
      for order in state.waiting.all {
        if !state.isFlushing, let last = state.lastAtNs[order.record] {
          let elapsed = Duration.nanoseconds(Clock.monotonicNanoseconds - last)
          if elapsed < remote.settings.interval {
            wait = min(wait ?? .seconds(86400), remote.settings.interval - elapsed)
            continue
          }
        }
        state.waiting[order.record] = nil
        state.current = order
        return (order, nil, state.isFlushing)
      }
      return (nil, wait, false)
    }
  }

  /// After a failure, unless a newer one waits by now.
  private func restore(_ order: Order) {
    state.withLock { state in
      state.current = nil
      if state.waiting[order.record] == nil { state.waiting[order.record] = order }
    }
  }

  private func save(_ order: Order) throws(StorageError) {
    let began = Clock.monotonicNanoseconds
    guard let key = StorageKey(attempt: order.record.attempt, mark: mark, name: order.record.name) else {
      throw StorageError(.unsupported, "'\(order.record.name)' is not a valid name for the remote")
    }
    totalBytes.store(order.record.bytes, ordering: .relaxed)
    completedBytes.store(0, ordering: .relaxed)
    defer { totalBytes.store(0, ordering: .relaxed) }
    let transfer = Transfer(
      progress: { [self] in completedBytes.store($0.completedBytes, ordering: .relaxed) },
      isCancelled: isCancelled)
    try remote.storage.save(order.path, as: key, transfer)
    state.withLock { state in
      state.current = nil
      state.lastAtNs[order.record] = Clock.monotonicNanoseconds
      state.lastName[order.record] = order.record.name
      state.lastKey[order.record] = key
      state.unusable.remove(key)
    }
    report(.replicated(order.record, key, took: .nanoseconds(Clock.monotonicNanoseconds - began)))
  }

  /// Stores the history and removes old checkpoints. A failure is none of the checkpoint, which is there.
  /// - Returns: whether all of it is done.
  private func keepUp(prunes: Bool) -> Bool {
    // What is there belongs to the other machine.
    if state.withLock(\.isTakenOver) { return true }
    do throws(StorageError) {
      if let objects = remote.objects, let history = history() {
        try objects.write(JSON.encode(history), as: Remote.history, isCancelled: isCancelled)
      }
      guard prunes else { return true }
      try prune()
      report(.upkeepDone)
      return true
    } catch {
      if error.code != .cancelled { report(.upkeepFailed(error.reason)) }
      return false
    }
  }

  /// Removes older checkpoints of this job, and what interrupted uploads of this machine left.
  private func prune() throws(StorageError) {
    let listing = try remote.storage.list(isCancelled: isCancelled)
    let retention = state.withLock { state in
      RemoteRetention(
        jobID: jobID, keepLast: remote.settings.keepLast, unusable: state.unusable,
        newestStored: Set(state.lastKey.all))
    }
    var there = Set(listing.checkpoints.filter { $0.fault == nil }.map(\.key)).union(retention.newestStored)
    defer { report(.listed(there)) }
    let interrupted = listing.unfinished.filter {
      $0.text.contains("-\(mark.hexadecimal)/") && !isUsing($0.name)
    }
    let old = interrupted + retention.superseded(in: listing)
    let removed = state.withLock(\.removed)
    let ignored = old.filter { removed.contains($0) }
    state.withLock { $0.removed = [] }
    // Removing all of them each time would delay the next checkpoints more and more.
    for key in ignored.isEmpty ? old : Array(ignored.prefix(1)) {
      try remote.storage.remove(key, isCancelled: isCancelled)
      there.remove(key)
      state.withLock { _ = $0.removed.insert(key) }
    }
    guard let first = ignored.first else { return }
    throw StorageError(
      .io, "the storage accepts removals and removes nothing",
      why: "\(Words.count(UInt64(old.count), "old checkpoint")) still there, \(first) after its removal")
  }

  private func finishFlush() {
    // The last attempt's end is in the store by now.
    _ = keepUp(prunes: false)
    state.withLock { $0.isFlushing = false }
    report(.idle)
  }

  // MARK: The heartbeat

  private func beat() {
    var sequence = UInt64(0)
    while !state.withLock(\.isStopping) {
      sequence += 1
      beatBeganNs.store(Clock.monotonicNanoseconds, ordering: .relaxed)
      do throws(StorageError) {
        defer { beatBeganNs.store(0, ordering: .relaxed) }
        try beat(sequence)
        report(.heartbeatWritten)
      } catch {
        if error.code == .cancelled { break }
        report(.heartbeatFailed(error.reason))
      }
      heartbeatWakeUp.wait(timeout: remote.settings.heartbeat)
    }
  }

  private func beat(_ sequence: UInt64) throws(StorageError) {
    guard let objects = remote.objects, !state.withLock(\.isTakenOver) else { return }
    // The first one is written without a look: the start has judged what was there.
    if sequence > 1, let bytes = try objects.read(Remote.heartbeat, isCancelled: isCancelled),
      let found: Heartbeat = JSON.decode(bytes), found.mark != mark.hexadecimal, !found.isOver
    {
      state.withLock { $0.isTakenOver = true }
      return report(.takenOver(host: found.host))
    }
    try objects.write(JSON.encode(heartbeat(sequence)), as: Remote.heartbeat, isCancelled: isCancelled)
  }

  /// Reports a heartbeat that is on its way for too long: a storage may need minutes to fail, and a filesystem forever.
  private func watch() {
    let patience = min(max(.seconds(10), remote.settings.heartbeat * 3), .seconds(60))
    while !state.withLock(\.isStopping) {
      let began = beatBeganNs.load(ordering: .relaxed)
      let elapsed = Duration.nanoseconds(Clock.monotonicNanoseconds &- began)
      if began > 0, elapsed >= patience {
        report(.heartbeatFailed("no answer for \(Words.duration(elapsed))"))
      }
      watchWakeUp.wait(timeout: patience / 4)
    }
  }

  private func heartbeat(_ sequence: UInt64, isOver: Bool = false) -> Heartbeat {
    Heartbeat(
      mark: mark.hexadecimal, sequence: sequence, jobID: jobID, host: HostName.current, pid: getpid(),
      intervalSeconds: remote.settings.heartbeat / .seconds(1), isOver: isOver)
  }

  /// Tells other machines that they need not wait. Called when the supervisor exits, within `timeout`.
  func endHeartbeat(timeout: Duration) {
    guard let objects = remote.objects, !state.withLock(\.isTakenOver) else { return }
    let deadline = Clock.monotonicNanoseconds + UInt64(max(.zero, timeout) / .nanoseconds(1))
    let last = heartbeat(.max, isOver: true)
    // If it fails, another machine waits until the heartbeat stands still.
    try? objects.write(JSON.encode(last), as: Remote.heartbeat) { Clock.monotonicNanoseconds > deadline }
  }
}
