import POSIX
import Reporting

/// Runs one conversation with a metadata server on its own thread.
struct CloudWatch: Sendable {
  let endpoint: Endpoint
  let transport: any Transport
  let cancellation: WakeUp
  let report: @Sendable (NoticeReport) -> Void

  /// Returns when it is cancelled.
  func run(_ conversation: any Conversation, isNamed: Bool) {
    var conversation = conversation
    var reachability = Reachability(name: conversation.name, isNamed: isNamed)
    while true {
      let exchange = conversation.next(at: Self.now)
      if cancellation.isSignalled(within: max(exchange.pause, reachability.pause)) { return }
      do {
        let response = try transport.send(exchange.request, to: endpoint, timeout: exchange.timeout)
        let reports = try conversation.handle(response, at: Self.now)
        if let recovered = reachability.succeeded() { report(recovered) }
        for one in reports { report(one) }
      } catch {
        if error.code == .cancelled { return }
        if let failure = reachability.failed(error) { report(failure) }
      }
    }
  }

  private static var now: Duration { .nanoseconds(Clock.monotonicNanoseconds) }
}
