import CSpawn
import Glibc
import SystemPackage

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
