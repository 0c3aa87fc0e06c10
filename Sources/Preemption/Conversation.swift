/// How one cloud is asked: a state machine without a clock or a socket. `next` says what to ask,
/// `take` reads the answer; after a failure the same is asked again, later.
protocol Conversation: Sendable {
  /// Of the cloud.
  var name: String { get }

  /// - Parameter now: monotonic.
  mutating func next(at now: Duration) -> Exchange

  /// - Throws: `badAnswer` for what the protocol does not know.
  mutating func take(_ response: HTTPResponse, at now: Duration) throws(PreemptionError) -> [NoticeReport]
}

/// One request: when, and how long its answer may take.
struct Exchange: Hashable, Sendable {
  var request: HTTPRequest
  /// Before it is sent.
  var pause: Duration = .zero
  /// Until the first byte of the answer; the rest has `HTTPClient.restPatience`.
  var patience: Duration = .seconds(5)
}
