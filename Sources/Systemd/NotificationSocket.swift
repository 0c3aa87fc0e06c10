import CSystemd
import Glibc

/// The service manager's socket for notifications of this process: `NOTIFY_SOCKET`.
public enum NotificationSocket {
  /// Its path, or `@` and a name in the abstract namespace; nil without a service manager.
  public static var address: String? { getenv("NOTIFY_SOCKET").map { String(cString: $0) } }

  /// Sends one message. Returns when it is queued, possibly before it is read; blocks while the queue is full.
  /// - Returns: false without a service manager.
  /// - Throws: `SystemdError` when the socket cannot be reached.
  @discardableResult
  public static func send(_ notifications: [Notification]) throws(SystemdError) -> Bool {
    let result = sd_notify(0, notifications.map(\.text).joined(separator: "\n"))
    if result < 0 { throw SystemdError("sd_notify", errno: -result, subject: address) }
    return result > 0
  }

  /// The maximum time between two `Notification.watchdog`; nil if no watchdog is set for this process
  /// (`WATCHDOG_PID`).
  /// - Throws: `SystemdError` for an invalid `WATCHDOG_USEC` or `WATCHDOG_PID`.
  public static func watchdogInterval() throws(SystemdError) -> Duration? {
    var microseconds: UInt64 = 0
    let result = sd_watchdog_enabled(0, &microseconds)
    if result < 0 {
      let value = getenv("WATCHDOG_USEC").map { "WATCHDOG_USEC=\(String(cString: $0))" }
      throw SystemdError("sd_watchdog_enabled", errno: -result, subject: value)
    }
    return result > 0 ? .microseconds(Int64(clamping: microseconds)) : nil
  }
}
