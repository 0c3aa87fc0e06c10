import POSIX
import Reporting
import Synchronization
import Systemd

/// Sends notifications in order on a separate thread: if the socket is not read, it is full after a few messages and
/// sd_notify(3) blocks, which the loop must not.
final class NotificationSender: Sendable {
  /// Beyond this, status updates are dropped.
  private static let longestQueue = 16

  private let queue = Mutex<[[Notification]]>([])
  private let isWanted = Gate()
  private let isSent: WakeUp

  /// - Parameter failed: called once, on the sending thread, with the first error.
  init(failed: @escaping @Sendable (SystemdError) -> Void) throws(POSIXError) {
    isSent = try WakeUp()
    try NativeThread.start { [self] in run(failed) }
  }

  func send(_ notifications: [Notification]) {
    guard !notifications.isEmpty else { return }
    let isQueued = queue.withLock { queue in
      guard queue.count < Self.longestQueue || notifications.contains(where: \.changesState) else {
        return false
      }
      queue.append(notifications)
      return true
    }
    if isQueued { isWanted.open() }
  }

  /// Waits until all is sent, but no longer than `timeout`.
  func flush(timeout: Duration) {
    let end = Clock.monotonicNanoseconds + UInt64(timeout / .nanoseconds(1))
    while !queue.withLock(\.isEmpty) {
      let now = Clock.monotonicNanoseconds
      guard now < end else { return }
      isSent.wait(timeout: .nanoseconds(end - now) + .milliseconds(1))
    }
  }

  private func run(_ failed: @Sendable (SystemdError) -> Void) {
    var hasFailed = false
    while true {
      isWanted.wait()
      guard let next = queue.withLock(\.first) else { continue }
      do throws(SystemdError) {
        try NotificationSocket.send(next.map(\.visible))
      } catch {
        if !hasFailed { failed(error) }
        hasFailed = true
      }
      // Removed only now: `flush` must also wait for this one.
      queue.withLock { _ = $0.removeFirst() }
      isSent.signal()
    }
  }
}

extension Notification {
  /// Without escape codes, since `systemctl status` shows the text on a terminal.
  var visible: Notification {
    if case .status(let text) = self { .status(VisibleText.line(text)) } else { self }
  }

  fileprivate var changesState: Bool {
    switch self {
    case .ready, .stopping, .errno, .reloading: true
    case .status, .watchdog, .extendTimeout: false
    }
  }
}
