import Systemd

/// What the service manager is told, and when. Pure: time and facts come in, notifications go out.
///
/// - `WATCHDOG=1` speaks for the supervisor, never for the trainer: whoever calls is the loop, which
///   is alive then, and the store's writer must have made a turn since the last one.
/// - `EXTEND_TIMEOUT_USEC=` is sent for a stop, which has its own limit, the grace time: all of that is
///   asked for when it begins, since a busy machine may show no progress for longer than
///   `TimeoutStopSec=`.
/// - `STATUS=` is sent when it says something new, at most once a second.
struct ServiceReport {
  /// A word may be lost: more time is asked for again after this.
  static let extensionInterval = Duration.seconds(10)
  /// More than the grace time, in which the last commit is made.
  static let graceMargin = Duration.seconds(5)
  static let statusInterval = Duration.seconds(1)

  /// Between two `WATCHDOG=1` at most; nil: nobody waits for them.
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
    // systemd begins to wait for the first one now.
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

  /// For a stop: at its beginning and then every ten seconds, for a word that was lost.
  /// - Parameter left: of the grace time.
  mutating func extendStop(left: Duration, isFirst: Bool = false, now: Duration) -> [Notification] {
    if !isFirst, let stopExtendedAt, now - stopExtendedAt < Self.extensionInterval { return [] }
    stopExtendedAt = now
    return [Self.stopExtension(left: left)]
  }

  static func stopExtension(left: Duration) -> Notification { .extendTimeout(max(.zero, left) + graceMargin) }
}
