import Glibc
import POSIX
import Reporting

/// Sends a request and waits for its response.
protocol Transport: Sendable {
  /// - Parameter timeout: until the first byte of the response.
  func send(
    _ request: HTTPRequest, to endpoint: Endpoint, timeout: Duration
  ) throws(PreemptionError) -> HTTPResponse
}
