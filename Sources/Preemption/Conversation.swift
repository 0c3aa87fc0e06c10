/// The protocol of one cloud, as a state machine without a clock or a socket. `next` returns the next request,
/// `handle` reads its response. After a failure, the same request is repeated later.
protocol Conversation: Sendable {
  /// The cloud's name.
  var name: String { get }

  /// - Parameter now: monotonic.
  mutating func next(at now: Duration) -> Exchange

  /// - Throws: `badAnswer` for a response that violates the protocol.
  mutating func handle(_ response: HTTPResponse, at now: Duration) throws(PreemptionError) -> [NoticeReport]
}
