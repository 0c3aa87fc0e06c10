import POSIX

/// Keeps one conversation with a metadata server going, on a thread of its own.
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
        let response = try transport.send(exchange.request, to: endpoint, patience: exchange.patience)
        let reports = try conversation.take(response, at: Self.now)
        if let recovered = reachability.succeeded() { report(recovered) }
        for one in reports { report(one) }
      } catch {
        if error.code == .cancelled { return }
        if let complaint = reachability.failed(error) { report(complaint) }
      }
    }
  }

  private static var now: Duration { .nanoseconds(Clock.monotonicNanoseconds) }
}
