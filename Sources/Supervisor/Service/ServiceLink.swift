import JobStore
import POSIX
import Synchronization
import Systemd
import Vocabulary

/// The supervisor as a service: what systemd, or whoever set `NOTIFY_SOCKET`, is told. Without that, every
/// call does nothing.
final class ServiceLink: Sendable {
  private struct State {
    var report: ServiceReport
    var writer: StoreWriter?
  }

  private let sender: NotificationSender?
  private let state: Mutex<State>

  /// Looks at the environment of the process. What is wrong there is told, and does no more harm.
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

  /// How often `beat` is to be called; nil: nobody listens.
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

  /// - Parameter stopTimeLeft: of a stop's grace time; nil: there is no stop.
  func beat(status: String, stopTimeLeft: Duration?) {
    guard let sender else { return }
    sender.send(
      state.withLock { state in
        let now = Self.now
        var notifications = state.report.watchdog(
          writerTurnAt: state.writer.map(Self.turn) ?? .zero, now: now)
        if let stopTimeLeft {
          // First: nothing else of it is as urgent.
          notifications = state.report.extendStop(left: stopTimeLeft, now: now) + notifications
        }
        return notifications + state.report.status(status, now: now)
      })
  }

  private static func turn(_ writer: StoreWriter) -> Duration { .nanoseconds(writer.lastTurnNanoseconds) }

  /// A stop begins.
  func beginStop(timeLeft: Duration) {
    guard let sender else { return }
    sender.send(state.withLock { $0.report.extendStop(left: timeLeft, isFirst: true, now: Self.now) })
  }

  /// Asks for the time of a stop when its signal arrives, from a thread of its own: the loop may be busy, or
  /// wait for a disk, for longer than the service manager waits for it.
  /// - Parameter signals: blocked ones, which the loop takes.
  func announceStop(by signals: [CInt], grace: Duration) throws(POSIXError) {
    guard let sender else { return }
    let arrivals = try SignalSource(watching: signals)
    try NativeThread.start {
      // The loop may have taken it before this thread looked. Then it also says it.
      while !arrivals.isPending() {}
      sender.send([ServiceReport.stopExtension(left: grace)])
    }
  }

  /// Around a reload of the configuration.
  func reloading() { sender?.send([.reloading(monotonicNanoseconds: Clock.monotonicNanoseconds)]) }
  func reloaded() { sender?.send([.ready]) }

  /// The last word. Whoever has not said `ready` yet and is done all the same says it now: a service that
  /// was never ready counts as failed.
  /// - Parameter errno: why it fails; nil: it does not.
  func ending(status: String, errno: Int32?) {
    guard let sender else { return }
    if errno == nil, !state.withLock(\.report.isReady) { sender.send([.ready]) }
    sender.send([.stopping, .status(status)] + (errno.map { [.errno($0)] } ?? []))
    // PID 1 reads at once; whoever does not is not waited for.
    sender.flush(timeout: .seconds(2))
  }
}
