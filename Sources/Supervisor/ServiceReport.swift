import Systemd

/// What the service manager is told, and when. Pure: time and facts come in, notifications go out.
///
/// - `WATCHDOG=1` speaks for the supervisor, never for the trainer: whoever calls is the loop, which
///   is alive then, and the store's writer must have made a turn since the last one.
/// - `EXTEND_TIMEOUT_USEC=` is sent only for progress made since the last one, so that a start or a
///   stop that hangs is ended by systemd's own limits.
/// - `STATUS=` is sent when it says something new, at most once a second.
struct ServiceReport {
  /// How long the next sign of progress may take. It is sent again after a third of it.
  static let allowance = Duration.seconds(30)
  static let statusInterval = Duration.seconds(1)

  /// Between two `WATCHDOG=1` at most; nil: nobody waits for them.
  let watchdogInterval: Duration?
  private(set) var isReady = false
  private var watchdogAt: Duration
  private var statusAt: Duration?
  private var status = ""
  private var extendedAt: Duration?
  private var extendedFor: UInt64 = 0

  init(watchdogInterval: Duration?, now: Duration) {
    self.watchdogInterval = watchdogInterval
    watchdogAt = now
  }

  /// How often `beat` must be called.
  var beatInterval: Duration { min(Self.statusInterval, (watchdogInterval ?? .seconds(3)) / 3) }

  mutating func ready(now: Duration) -> [Notification] {
    isReady = true
    extendedAt = nil
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

  /// - Parameters:
  ///   - progress: a number that is another one whenever there was progress.
  ///   - limit: no more time than this is asked for.
  mutating func extend(progress: UInt64, limit: Duration?, now: Duration) -> [Notification] {
    guard progress != extendedFor else { return [] }
    if let extendedAt, now - extendedAt < Self.allowance / 3 { return [] }
    let wanted = min(Self.allowance, limit ?? Self.allowance)
    guard wanted > .zero else { return [] }
    extendedAt = now
    extendedFor = progress
    return [.extendTimeout(wanted)]
  }

  /// A stop begins: only what is done from now on is progress.
  mutating func beginStop(progress: UInt64) {
    extendedAt = nil
    extendedFor = progress
  }
}
