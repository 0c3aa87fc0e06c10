import CSpawn
import Glibc
import SystemPackage

/// epoll(7) over descriptors with one handler each. Handlers run on the thread that calls `run`.
public final class EventLoop {
  private let descriptor: CInt
  private var handlers: [CInt: () -> Void] = [:]
  private var stopped = false

  public init() throws(POSIXError) {
    descriptor = try posix("epoll_create1") { epoll_create1(CInt(EPOLL_CLOEXEC)) }
  }

  deinit { close(descriptor) }

  /// Calls `handler` whenever `source` is readable (level-triggered).
  public func add(_ source: CInt, _ handler: @escaping () -> Void) throws(POSIXError) {
    var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data_t(fd: source))
    try posix("epoll_ctl") { epoll_ctl(descriptor, EPOLL_CTL_ADD, source, &event) }
    handlers[source] = handler
  }

  public func remove(_ source: CInt) throws(POSIXError) {
    guard handlers.removeValue(forKey: source) != nil else { return }
    try posix("epoll_ctl") { epoll_ctl(descriptor, EPOLL_CTL_DEL, source, nil) }
  }

  /// Runs handlers until one of them calls `stop`.
  /// - Parameters:
  ///   - interval: time between calls of `check`, whatever else happens.
  ///   - check: handles what a lost wake-up left behind.
  public func run(checkingEvery interval: Duration, _ check: () -> Void) throws(POSIXError) {
    var events = [epoll_event](repeating: epoll_event(), count: 16)
    let milliseconds = Int32(clamping: Int64(interval / .milliseconds(1)))
    var checkedAt = Clock.monotonicNanoseconds
    while !stopped {
      let count = try posix("epoll_wait") { epoll_wait(descriptor, &events, 16, milliseconds) }
      if Clock.monotonicNanoseconds - checkedAt >= UInt64(interval / .nanoseconds(1)) {
        check()
        checkedAt = Clock.monotonicNanoseconds
      }
      for event in events.prefix(Int(count)) {
        // An earlier handler may have removed it.
        handlers[event.data.fd]?()
      }
    }
  }

  public func stop() { stopped = true }
}

/// timerfd(2) on CLOCK_BOOTTIME, which includes suspended time.
public final class DeadlineTimer {
  public let descriptor: CInt

  public init() throws(POSIXError) {
    descriptor = try posix("timerfd_create") {
      timerfd_create(CLOCK_BOOTTIME, CInt(TFD_NONBLOCK | TFD_CLOEXEC))
    }
  }

  deinit { close(descriptor) }

  /// Fires once at `deadline` (since boot), immediately if that has passed; nil disarms.
  public func set(_ deadline: Duration?) throws(POSIXError) {
    // Zero would disarm it.
    let (seconds, attoseconds) = deadline?.components ?? (0, 0)
    let nanoseconds = deadline == nil ? 0 : max(1, attoseconds / 1_000_000_000)
    try posix("timerfd_settime") { hf_timer_set(descriptor, max(0, seconds), nanoseconds) }
  }

  /// Makes the descriptor unreadable until the next expiry.
  public func acknowledge() {
    var count: UInt64 = 0
    _ = read(descriptor, &count, 8)
  }
}

/// signalfd(2): signals as readable events.
public final class SignalSource: Sendable {
  public let descriptor: CInt

  /// Blocks only `signals` in the calling thread and receives them from then on. An inherited mask (of a thread
  /// pool, say) is dropped, as it could block systemd's SIGABRT. Threads inherit the mask: create this before any
  /// other thread.
  public init(_ signals: [CInt]) throws(POSIXError) {
    var set = sigset_t()
    sigemptyset(&set)
    for signal in signals { sigaddset(&set, signal) }
    let code = pthread_sigmask(SIG_SETMASK, &set, nil)
    if code != 0 { throw POSIXError("pthread_sigmask", errno: Errno(rawValue: code)) }
    descriptor = try posix("signalfd") {
      signalfd(-1, &set, CInt(SFD_NONBLOCK | SFD_CLOEXEC))
    }
  }

  /// For `isPending` only: detects `signals`, which must be blocked in every thread.
  public init(watching signals: [CInt]) throws(POSIXError) {
    var set = sigset_t()
    sigemptyset(&set)
    for signal in signals { sigaddset(&set, signal) }
    descriptor = try posix("signalfd") { signalfd(-1, &set, CInt(SFD_NONBLOCK | SFD_CLOEXEC)) }
  }

  deinit { close(descriptor) }

  /// Waits for a signal without consuming it.
  /// - Returns: false when another thread consumed it first.
  public func isPending() -> Bool {
    var arrival = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&arrival, 1, -1) > 0
  }

  /// The next pending signal, if any.
  public func next() -> CInt? {
    var info = signalfd_siginfo()
    guard read(descriptor, &info, MemoryLayout<signalfd_siginfo>.size) > 0 else { return nil }
    return CInt(info.ssi_signo)
  }
}

/// eventfd(2), with which another thread wakes the loop.
public final class WakeUp: Sendable {
  public let descriptor: CInt

  public init() throws(POSIXError) {
    descriptor = try posix("eventfd") { eventfd(0, CInt(EFD_NONBLOCK | EFD_CLOEXEC)) }
  }

  deinit { close(descriptor) }

  /// A full counter is signalled already. No other error is known to occur; a caller that must not wait forever
  /// also polls.
  public func signal() {
    var one: UInt64 = 1
    _ = try? posix("eventfd_write") { write(descriptor, &one, 8) }
  }

  public func acknowledge() {
    var count: UInt64 = 0
    _ = read(descriptor, &count, 8)
  }
}

extension WakeUp {
  /// Whether it is signalled within `timeout`. It stays signalled, for other waiters.
  public func isSignalled(within timeout: Duration) -> Bool {
    let deadline = Duration.nanoseconds(Clock.monotonicNanoseconds) + timeout
    var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    while true {
      let left = deadline - .nanoseconds(Clock.monotonicNanoseconds)
      if Glibc.poll(&poll, 1, Int32(clamping: Int64(max(.zero, left) / .milliseconds(1)))) > 0 { return true }
      if left < .milliseconds(1) { return false }
    }
  }

  /// Waits until it is signalled or `timeout` passes, on a thread without a loop.
  public func wait(timeout: Duration?) {
    var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    let milliseconds = timeout.map { Int32(clamping: Int64($0 / .milliseconds(1))) } ?? -1
    _ = Glibc.poll(&poll, 1, milliseconds)
    acknowledge()
  }
}
