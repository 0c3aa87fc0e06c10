import CSpawn
import Glibc

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
