/// A request with its timing.
struct Exchange: Hashable, Sendable {
  var request: HTTPRequest
  /// Delay before it is sent.
  var pause: Duration = .zero
  /// Until the first byte of the response; `HTTPClient.bodyTimeout` limits the rest.
  var timeout: Duration = .seconds(5)
}
