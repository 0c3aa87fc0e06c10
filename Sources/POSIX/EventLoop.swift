import CSpawn
import Glibc

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
