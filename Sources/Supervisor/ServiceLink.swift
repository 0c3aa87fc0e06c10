import JobStore
import POSIX
import Synchronization
import Systemd

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
        "the service manager cannot be told how the job is: \(error) (NOTIFY_SOCKET=\(address)); the job goes on",
        .serviceManager)
    }
    var interval: Duration?
    do {
      interval = try NotificationSocket.watchdogInterval()
    } catch {
      Console.warning("no watchdog: \(error); the job goes on", .serviceManager)
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

  /// - Parameters:
  ///   - progress: see `ServiceReport.extend`; nil: this is no time for more time.
  ///   - limit: see there.
  func beat(status: String, progress: UInt64?, limit: Duration?) {
    guard let sender else { return }
    sender.send(
      state.withLock { state in
        let now = Self.now
        var notifications = state.report.watchdog(
          writerTurnAt: state.writer.map(Self.turn) ?? .zero, now: now)
        if let progress {
          notifications += state.report.extend(progress: progress, limit: limit, now: now)
        }
        return notifications + state.report.status(status, now: now)
      })
  }

  private static func turn(_ writer: StoreWriter) -> Duration { .nanoseconds(writer.lastTurnNanoseconds) }

  func beginStop(progress: UInt64) { state.withLock { $0.report.beginStop(progress: progress) } }

  /// Around a reload of the configuration.
  func reloading() { sender?.send([.reloading(monotonicNanoseconds: Clock.monotonicNanoseconds)]) }
  func reloaded() { sender?.send([.ready]) }

  /// The last word. Whoever has not said `ready` yet and is done all the same says it now: a service that
  /// was never ready counts as failed.
  /// - Parameter errno: why it fails; nil: it does not.
  func leaving(status: String, errno: Int32?) {
    guard let sender else { return }
    if errno == nil, !state.withLock(\.report.isReady) { sender.send([.ready]) }
    sender.send([.stopping, .status(status)] + (errno.map { [.errno($0)] } ?? []))
    // PID 1 reads at once; whoever does not is not waited for.
    sender.flush(patience: .seconds(2))
  }
}
