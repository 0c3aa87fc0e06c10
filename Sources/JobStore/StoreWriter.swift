import Glibc
import LMDB
import POSIX
import Synchronization
public import TrainerProtocol

/// The one writer of a store, on a thread of its own. Invariants:
/// - Every write transaction begins and ends on that thread.
/// - A ring's room is given back only after the commit that took its records. They are told before: a supervisor that
///   dies finds them in the ring.
/// - Nothing here throws at the supervisor or waits for it. While the store cannot be written,
///   changes wait in memory and the trainer's words still reach the supervisor.
public final class StoreWriter: Sendable {
  struct Submission: Sendable {
    var operations: [StoreOperation]
    var completion: (@Sendable (_ durable: Bool) -> Void)?

    /// Nobody waits for it, and after a death it says nothing.
    var canWait: Bool { completion == nil && operations.allSatisfy(\.isLive) }
  }

  struct Inbox {
    var submissions: [Submission] = []
    var attach: (ring: RingReader, attempt: UInt64)?
    /// Drain the ring to its end, let it go, and say so.
    var detach: Detachment?
    var oldestKept: UInt64?
    var isExpectingAnswer = false
    var isStopping = false
    /// Nobody reads this any more.
    var hasEnded = false
  }

  struct Detachment: Sendable {
    /// Whether what the ring still held is durable first.
    var isDurable: Bool
    var completion: @Sendable () -> Void
  }

  let inbox = Mutex(Inbox())
  let wakeUp: WakeUp
  /// CLOCK_MONOTONIC of the thread's last turn, for whoever watches over it.
  let lastTurn = Atomic<UInt64>(0)
  private let ended = Gate()

  /// - Parameters:
  ///   - lookInterval: between looks at the ring.
  ///   - commitInterval: between group commits of snapshots, where nothing asks for one sooner.
  ///   - isWatched: somebody reads the store, and wants to see each look's snapshots in it.
  ///   - report: called on the writer's thread.
  public init(
    _ store: JobStore, lookInterval: Duration, commitInterval: Duration = .zero,
    limits: StoreLimits = StoreLimits(), isWatched: @escaping @Sendable () -> Bool = { false },
    report: @escaping @Sendable (StoreReport) -> Void
  ) throws(POSIXError) {
    wakeUp = try WakeUp()
    // The thread's closure may live a little longer than the thread's work, and must not keep the store
    // open for as long: it could not be opened again.
    let store = Mutex<JobStore?>(store)
    try NativeThread.start { [self] in
      live {
        guard let store = store.withLock({ $0.take() }) else { return }
        let loop = WriterLoop(
          self, store, lookInterval: lookInterval, commitInterval: commitInterval, limits: limits,
          isWatched: isWatched, report: report)
        loop.run()
      }
      ended.open()
    }
  }

  /// What `body` holds is let go when it returns.
  @inline(never)
  private func live(_ body: () -> Void) { body() }

  public var lastTurnNanoseconds: UInt64 { lastTurn.load(ordering: .relaxed) }

  /// Changes the store in the next group commit; at once where somebody waits for it.
  /// - Parameter completion: called on the writer's thread; `false` when the commit failed and the
  ///   change waits in memory.
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
  /// - Parameter patience: for how long; nil: for as long as it takes.
  /// - Returns: whether it is durable, as far as is known by then.
  @discardableResult
  public func submitAndWait(_ operations: [StoreOperation], patience: Duration? = nil) -> Bool {
    begin(operations).wait(patience: patience)
  }

  /// Changes the store now, for whoever has something else to do meanwhile.
  public func begin(_ operations: [StoreOperation]) -> Commit {
    let commit = Commit()
    submit(operations) { commit.end(durable: $0) }
    return commit
  }

  /// A commit under way. Outlives whoever waits no longer.
  public final class Commit: Sendable {
    private let gate = Gate()
    private let durable = Atomic(false)

    /// Whether it is durable, as far as is known.
    public var isDurable: Bool { durable.load(ordering: .acquiring) }

    func end(durable isDurable: Bool) {
      durable.store(isDurable, ordering: .releasing)
      gate.open()
    }

    /// Once.
    /// - Parameter patience: for how long; nil: for as long as it takes.
    /// - Returns: whether it is durable, as far as is known by then.
    @discardableResult
    public func wait(patience: Duration? = nil) -> Bool {
      gate.wait(timeout: patience)
      return isDurable
    }
  }

  /// Drains `ring` from now on.
  public func attach(_ ring: RingReader, attempt: UInt64) {
    inbox.withLock { $0.attach = (ring, attempt) }
    wakeUp.signal()
  }

  /// Drains the attached ring to its end and lets it go. Reports what it still held first.
  /// - Parameters:
  ///   - durable: commit it before that. Otherwise it stays in the ring until the next commit, so that one commit
  ///     can hold the end of an attempt and the beginning of the next: see `commit`.
  ///   - completion: called on the writer's thread.
  public func detach(durable: Bool = true, _ completion: @escaping @Sendable () -> Void) {
    inbox.withLock { $0.detach = Detachment(isDurable: durable, completion: completion) }
    wakeUp.signal()
  }

  /// Commits what waits now, not at the next group commit.
  public func commit() { wakeUp.signal() }

  /// A request was posted: looks for the answer sooner than at the next group commit.
  public func expectAnswer() {
    inbox.withLock { $0.isExpectingAnswer = true }
    wakeUp.signal()
  }

  /// History before this step may be thinned.
  public func setOldestKept(step: UInt64) { inbox.withLock { $0.oldestKept = step } }

  /// Commits what is there, ends the thread and waits for that. The store may be opened again then.
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
