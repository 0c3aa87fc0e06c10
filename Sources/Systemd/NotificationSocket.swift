import CSystemd
import Glibc

/// The socket on which a service manager listens to this process: `NOTIFY_SOCKET`.
public enum NotificationSocket {
  /// Where it is, an `@` in front for the abstract namespace; nil: nobody listens.
  public static var address: String? { getenv("NOTIFY_SOCKET").map { String(cString: $0) } }

  /// Sends one message. Returns when it is queued, which is not yet read; waits while the queue is full.
  /// - Returns: false where nobody listens.
  /// - Throws: `SystemdError` where the socket is named but cannot be reached.
  @discardableResult
  public static func send(_ notifications: [Notification]) throws(SystemdError) -> Bool {
    let result = sd_notify(0, notifications.map(\.text).joined(separator: "\n"))
    if result < 0 { throw SystemdError("sd_notify", errno: -result, subject: address) }
    return result > 0
  }

  /// Within which time `Notification.watchdog` must come again and again; nil: no one waits for it, or
  /// not of this process (`WATCHDOG_PID`).
  /// - Throws: `SystemdError` for a `WATCHDOG_USEC` or `WATCHDOG_PID` that is none.
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
