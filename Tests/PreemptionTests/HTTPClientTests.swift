import FakeMetadata
import POSIX
import Reporting
import Testing

@testable import Preemption

/// The client with valid and invalid responses.
@Suite struct HTTPClientTests {
  static func send(
    _ server: FakeServer, timeout: Duration = .seconds(30), bodyTimeout: Duration = .seconds(30)
  ) throws -> HTTPResponse {
    var client = HTTPClient(cancellation: try WakeUp())
    client.bodyTimeout = bodyTimeout
    return try client.send(
      HTTPRequest(.post, "/path?a=b", headers: ["X-A": "b"], body: "hello"),
      to: Endpoint(address: "127.0.0.1", port: server.port), timeout: timeout)
  }

  static func code(
    _ answer: FakeServer.Answer, rest: Duration = .seconds(30), timeout: Duration = .seconds(30)
  )
    throws -> PreemptionErrorCode?
  {
    let server = try FakeServer { _, _ in answer }
    defer { server.stop() }
    do {
      _ = try send(server, timeout: timeout, bodyTimeout: rest)
      return nil
    } catch {
      return (error as? PreemptionError)?.code
    }
  }

  @Test func requestArrivesUnchanged() throws {
    let server = try FakeServer { request, _ in .whole(200, request.body) }
    defer { server.stop() }
    #expect(try Self.send(server).text == "hello")
    let request = try #require(server.requests.first)
    #expect(request.method == "POST" && request.target == "/path?a=b" && request.headers["x-a"] == "b")
    #expect(request.headers["host"] == server.endpoint && request.headers["connection"] == "close")
  }

  @Test(arguments: [
    FakeServer.Answer.whole(200, "body"), .chunked(200, "body"), .raw("HTTP/1.1 200 OK\r\n\r\nbody"),
    .drip("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", pauseMilliseconds: 1),
  ]) func everyBodyDelimitationIsSupported(answer: FakeServer.Answer) throws {
    let server = try FakeServer { _, _ in answer }
    defer { server.stop() }
    #expect(try Self.send(server).text == "body")
  }

  @Test func invalidResponsesHaveDistinctErrors() throws {
    #expect(try Self.code(.endless) == .answerTooLarge)
    #expect(try Self.code(.raw("HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n")) == .answerTooLarge)
    #expect(try Self.code(.raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")) == .cutOff)
    #expect(try Self.code(.raw("")) == .cutOff)
    #expect(try Self.code(.raw("220 mail.example ESMTP\r\n")) == .badAnswer)
    #expect(try Self.code(.never, timeout: .milliseconds(100)) == .timedOut)
    // Each byte arrives within the timeout, but not the whole body.
    let slow = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + String(repeating: "x", count: 1000)
    #expect(try Self.code(.drip(slow, pauseMilliseconds: 20), rest: .milliseconds(200)) == .timedOut)
  }

  @Test func unreachableServerIsReported() throws {
    let server = try FakeServer { _, _ in .never }
    server.stop()
    #expect {
      // The listener's thread closes it asynchronously.
      while true { _ = try Self.send(server, timeout: .seconds(10)) }
    } throws: { error in
      let code = (error as? PreemptionError)?.code
      return code == .unreachable || code == .cutOff
    }
  }

  @Test func pendingRequestCanBeCancelled() throws {
    let server = try FakeServer { _, _ in .never }
    defer { server.stop() }
    let cancellation = try WakeUp()
    let port = server.port
    let left = Gate()
    try NativeThread.start {
      do throws(PreemptionError) {
        _ = try HTTPClient(cancellation: cancellation).send(
          HTTPRequest(.get, "/"), to: Endpoint(address: "127.0.0.1", port: port), timeout: .seconds(3600))
      } catch {
        if error.code == .cancelled { left.open() }
      }
    }
    cancellation.signal()
    left.wait()
  }
}
