import JobStore
import POSIX
import Synchronization
import Systemd
import Vocabulary

/// Notifies the service manager: systemd, or another one that set `NOTIFY_SOCKET`. Without that variable, calls have
/// no effect.
final class ServiceLink: Sendable {
  private struct State {
    var report: ServiceReport
    var writer: StoreWriter?
  }

  private let sender: NotificationSender?
  private let state: Mutex<State>

  /// Reads the environment of the process. Faults in it are logged and otherwise ignored.
  init() throws(POSIXError) {
    let now = Self.now
    guard let address = NotificationSocket.address else {
      sender = nil
      state = Mutex(State(report: ServiceReport(watchdogInterval: nil, now: now)))
      return
    }
    sender = try NotificationSender { error in
      Console.warning(
        "cannot notify the service manager: \(error) (NOTIFY_SOCKET=\(address)); the job continues",
        .serviceManager)
    }
    var interval: Duration?
    do {
      interval = try NotificationSocket.watchdogInterval()
    } catch {
      Console.warning("no watchdog: \(error); the job continues", .serviceManager)
    }
    state = Mutex(State(report: ServiceReport(watchdogInterval: interval, now: now)))
  }

  private static var now: Duration { .nanoseconds(Clock.monotonicNanoseconds) }

  /// How often to call `beat`; nil: there is no service manager.
  var beatInterval: Duration? { sender == nil ? nil : state.withLock { $0.report.beatInterval } }

  /// Makes the watchdog depend on this writer.
  func watch(_ writer: StoreWriter) { state.withLock { $0.writer = writer } }

  func ready(status: String) {
    guard let sender else { return }
    sender.send(
      state.withLock { state in
        let now = Self.now
        return state.report.ready(now: now) + state.report.status(status, now: now)
      })
  }

  /// - Parameter stopTimeLeft: remaining grace time; nil: no stop is in progress.
  func beat(status: String, stopTimeLeft: Duration?) {
    guard let sender else { return }
    sender.send(
      state.withLock { state in
        let now = Self.now
        var notifications = state.report.watchdog(
          writerTurnAt: state.writer.map(Self.turn) ?? .zero, now: now)
        if let stopTimeLeft {
          // First, since it is the most urgent.
          notifications = state.report.extendStop(left: stopTimeLeft, now: now) + notifications
        }
        return notifications + state.report.status(status, now: now)
      })
  }

  private static func turn(_ writer: StoreWriter) -> Duration { .nanoseconds(writer.lastTurnNanoseconds) }

  /// Called when a stop begins.
  func beginStop(timeLeft: Duration) {
    guard let sender else { return }
    sender.send(state.withLock { $0.report.extendStop(left: timeLeft, isFirst: true, now: Self.now) })
  }

  /// Requests the time for a stop when its signal arrives, on a separate thread: the loop may be busy or wait for a
  /// disk for longer than the service manager waits.
  /// - Parameter signals: blocked ones, which the loop handles.
  func announceStop(by signals: [CInt], grace: Duration) throws(POSIXError) {
    guard let sender else { return }
    let arrivals = try SignalSource(watching: signals)
    try NativeThread.start {
      // The loop may have handled it first. Then the loop also sends the extension.
      while !arrivals.isPending() {}
      sender.send([ServiceReport.stopExtension(left: grace)])
    }
  }

  /// Around a reload of the configuration.
  func reloading() { sender?.send([.reloading(monotonicNanoseconds: Clock.monotonicNanoseconds)]) }
  func reloaded() { sender?.send([.ready]) }

  /// The final notification. Without a failure, `ready` is sent if it was not yet: a service that was never ready
  /// counts as failed.
  /// - Parameter errno: of the failure; nil: no failure.
  func ending(status: String, errno: Int32?) {
    guard let sender else { return }
    if errno == nil, !state.withLock(\.report.isReady) { sender.send([.ready]) }
    sender.send([.stopping, .status(status)] + (errno.map { [.errno($0)] } ?? []))
    // systemd reads at once; any other reader is not waited for much longer.
    sender.flush(timeout: .seconds(2))
  }
}
