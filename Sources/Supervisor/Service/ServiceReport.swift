import Systemd

/// Decides which notifications the service manager gets, and when. Pure.
///
/// - `WATCHDOG=1` covers the supervisor, never the trainer: the loop calls, so it is alive, and the writer must
///   have made a turn since the last one.
/// - `EXTEND_TIMEOUT_USEC=` is sent for a stop, which is limited by the grace time. All of it is requested when the stop
///   begins, since a busy machine may show no progress for longer than `TimeoutStopSec=`.
/// - `STATUS=` is sent when it has changed, at most once a second.
struct ServiceReport {
  /// A notification may be lost, so the extension is repeated.
  static let extensionInterval = Duration.seconds(10)
  /// Added to the grace time, for the last commit.
  static let graceMargin = Duration.seconds(5)
  static let statusInterval = Duration.seconds(1)

  /// Longest time between two `WATCHDOG=1`; nil: there is no watchdog.
  let watchdogInterval: Duration?
  private(set) var isReady = false
  private var watchdogAt: Duration
  private var statusAt: Duration?
  private var status = ""
  private var stopExtendedAt: Duration?

  init(watchdogInterval: Duration?, now: Duration) {
    self.watchdogInterval = watchdogInterval
    watchdogAt = now
  }

  /// How often `beat` must be called.
  var beatInterval: Duration { min(Self.statusInterval, (watchdogInterval ?? .seconds(3)) / 3) }

  mutating func ready(now: Duration) -> [Notification] {
    isReady = true
    // systemd starts its watchdog timer now.
    watchdogAt = now
    return [.ready]
  }

  /// - Parameter writerTurnAt: when the store's writer last began a turn.
  mutating func watchdog(writerTurnAt: Duration, now: Duration) -> [Notification] {
    guard let watchdogInterval, isReady, now - watchdogAt >= watchdogInterval / 3, writerTurnAt > watchdogAt
    else { return [] }
    watchdogAt = now
    return [.watchdog]
  }

  mutating func status(_ text: String, now: Duration) -> [Notification] {
    guard text != status, statusAt.map({ now - $0 >= Self.statusInterval }) ?? true else { return [] }
    status = text
    statusAt = now
    return [.status(text)]
  }

  /// For a stop: at its beginning and then every ten seconds, in case one was lost.
  /// - Parameter left: of the grace time.
  mutating func extendStop(left: Duration, isFirst: Bool = false, now: Duration) -> [Notification] {
    if !isFirst, let stopExtendedAt, now - stopExtendedAt < Self.extensionInterval { return [] }
    stopExtendedAt = now
    return [Self.stopExtension(left: left)]
  }

  static func stopExtension(left: Duration) -> Notification { .extendTimeout(max(.zero, left) + graceMargin) }
}
