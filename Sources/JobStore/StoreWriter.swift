import Glibc
import LMDB
import POSIX
import Synchronization
public import TrainerProtocol

/// The only writer of a store, with its own thread. Invariants:
/// - Every write transaction begins and ends on that thread.
/// - Ring space is released only after its records are committed. They are reported earlier; if the
///   supervisor dies, the next one finds them in the ring.
/// - Nothing here throws to the supervisor or waits for it. While the store cannot be written, changes stay
///   in memory, and the trainer's records still reach the supervisor.
public final class StoreWriter: Sendable {
  struct Submission: Sendable {
    var operations: [StoreOperation]
    var completion: (@Sendable (_ durable: Bool) -> Void)?

    /// Whether it can be delayed: no caller waits, and it is irrelevant after a crash.
    var canWait: Bool { completion == nil && operations.allSatisfy(\.isLive) }
  }

  struct Inbox {
    var submissions: [Submission] = []
    var attach: (ring: RingReader, attempt: UInt64)?
    /// Drain the ring to its end, release it, and call back.
    var detach: Detachment?
    var oldestKept: UInt64?
    var isExpectingAnswer = false
    var isStopping = false
    /// Set when the thread no longer reads the inbox.
    var hasEnded = false
  }

  struct Detachment: Sendable {
    /// Whether to commit the remaining records first.
    var isDurable: Bool
    var completion: @Sendable () -> Void
  }

  let inbox = Mutex(Inbox())
  let wakeUp: WakeUp
  /// CLOCK_MONOTONIC of the thread's last turn, for the watchdog.
  let lastTurn = Atomic<UInt64>(0)
  private let ended = Gate()

  /// - Parameters:
  ///   - lookInterval: time between checks of the ring.
  ///   - commitInterval: time between group commits of snapshots, unless one is needed earlier.
  ///   - isWatched: whether the store is being read; snapshots are then committed at every check.
  ///   - report: called on the writer's thread.
  public init(
    _ store: JobStore, lookInterval: Duration, commitInterval: Duration = .zero,
    limits: StoreLimits = StoreLimits(), isWatched: @escaping @Sendable () -> Bool = { false },
    report: @escaping @Sendable (StoreReport) -> Void
  ) throws(POSIXError) {
    wakeUp = try WakeUp()
    // The thread's closure may outlive its work for a moment, and must not keep the store open, which could
    // not be reopened then.
    let store = Mutex<JobStore?>(store)
    try NativeThread.start { [self] in
      withScope {
        guard let store = store.withLock({ $0.take() }) else { return }
        let loop = WriterLoop(
          self, store, lookInterval: lookInterval, commitInterval: commitInterval, limits: limits,
          isWatched: isWatched, report: report)
        loop.run()
      }
      ended.open()
    }
  }

  /// References that `body` holds are released when it returns.
  @inline(never)
  private func withScope(_ body: () -> Void) { body() }

  public var lastTurnNanoseconds: UInt64 { lastTurn.load(ordering: .relaxed) }

  /// Changes the store in the next group commit, or immediately if `completion` is set.
  /// - Parameter completion: called on the writer's thread; `false` if the commit failed and the change stays
  ///   in memory.
  public func submit(
    _ operations: [StoreOperation], completion: (@Sendable (_ durable: Bool) -> Void)? = nil
  ) {
    let hasEnded = inbox.withLock { inbox in
      if !inbox.hasEnded {
        inbox.submissions.append(Submission(operations: operations, completion: completion))
      }
      return inbox.hasEnded
    }
    if hasEnded {
      completion?(false)
    } else if completion != nil {
      wakeUp.signal()
    }
  }

  /// Changes the store and waits for the commit.
  /// - Parameter timeout: nil to wait without limit.
  /// - Returns: whether it is known to be durable.
  @discardableResult
  public func submitAndWait(_ operations: [StoreOperation], timeout: Duration? = nil) -> Bool {
    begin(operations).wait(timeout: timeout)
  }

  /// Starts to change the store and returns immediately.
  public func begin(_ operations: [StoreOperation]) -> Commit {
    let commit = Commit()
    submit(operations) { commit.end(durable: $0) }
    return commit
  }

  /// A commit in progress. It may outlive its caller.
  public final class Commit: Sendable {
    private let gate = Gate()
    private let durable = Atomic(false)

    /// Whether it is known to be durable.
    public var isDurable: Bool { durable.load(ordering: .acquiring) }

    func end(durable isDurable: Bool) {
      durable.store(isDurable, ordering: .releasing)
      gate.open()
    }

    /// Call it only once.
    /// - Parameter timeout: nil to wait without limit.
    /// - Returns: whether it is known to be durable.
    @discardableResult
    public func wait(timeout: Duration? = nil) -> Bool {
      gate.wait(timeout: timeout)
      return isDurable
    }
  }

  /// Drains `ring` from now on.
  public func attach(_ ring: RingReader, attempt: UInt64) {
    inbox.withLock { $0.attach = (ring, attempt) }
    wakeUp.signal()
  }

  /// Drains the attached ring to its end, reports the remaining records and releases the ring.
  /// - Parameters:
  ///   - durable: whether to commit them first. Otherwise they stay in the ring until the next commit, so
  ///     that one commit can contain the end of an attempt and the beginning of the next: see `commit`.
  ///   - completion: called on the writer's thread.
  public func detach(durable: Bool = true, _ completion: @escaping @Sendable () -> Void) {
    inbox.withLock { $0.detach = Detachment(isDurable: durable, completion: completion) }
    wakeUp.signal()
  }

  /// Commits pending changes now instead of at the next group commit.
  public func commit() { wakeUp.signal() }

  /// A request was posted: check for the answer before the next group commit.
  public func expectAnswer() {
    inbox.withLock { $0.isExpectingAnswer = true }
    wakeUp.signal()
  }

  /// History before this step may be thinned.
  public func setOldestKept(step: UInt64) { inbox.withLock { $0.oldestKept = step } }

  /// Commits pending changes and waits for the thread to end. The store may be reopened then.
  public func stop() {
    let isFirst = inbox.withLock { inbox in
      defer { inbox.isStopping = true }
      return !inbox.isStopping
    }
    guard isFirst else { return }
    wakeUp.signal()
    ended.wait()
  }
}
