/// One line of sd_notify(3).
public enum Notification: Hashable, Sendable {
  /// The service has started or finished reloading.
  case ready
  /// Shown by `systemctl status`. Control characters become spaces, as each message is one line.
  case status(String)
  /// The service is alive.
  case watchdog
  /// The current start or stop may take this much longer from now.
  case extendTimeout(Duration)
  /// The service is shutting down.
  case stopping
  /// The error of a failed service, as in errno(3).
  case errno(Int32)
  /// A reload of the configuration began at this time of CLOCK_MONOTONIC.
  case reloading(monotonicNanoseconds: UInt64)

  public var text: String {
    switch self {
    case .ready: "READY=1"
    case .status(let text): "STATUS=\(Self.line(text))"
    case .watchdog: "WATCHDOG=1"
    case .extendTimeout(let duration): "EXTEND_TIMEOUT_USEC=\(Self.microseconds(duration))"
    case .stopping: "STOPPING=1"
    case .errno(let code): "ERRNO=\(code)"
    case .reloading(let since): "RELOADING=1\nMONOTONIC_USEC=\(since / 1000)"
    }
  }

  private static func line(_ text: String) -> String {
    let scalars = text.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? " " : $0 }
    return String(String.UnicodeScalarView(scalars))
  }

  /// Decimal and finite, clamped to 1 µs … one year: systemd rejects everything else, and the sum with its clock must
  /// not overflow.
  private static func microseconds(_ duration: Duration) -> Int64 {
    let longest: Int64 = 365 * 24 * 3600
    let (seconds, attoseconds) = duration.components
    guard seconds < longest else { return longest * 1_000_000 }
    return max(1, seconds * 1_000_000 + attoseconds / 1_000_000_000_000)
  }
}
