import Glibc
import POSIX
import Reporting
import SystemPackage

/// HTTP/1.1 with one connection for each request. It never uses a proxy, as metadata servers answer only the
/// machine itself. It blocks its thread, within its timeouts.
struct HTTPClient: Transport {
  static let connectTimeout = Duration.seconds(3)

  /// Readable when all requests must end.
  let cancellation: WakeUp
  /// From the first byte of a response to the last.
  var bodyTimeout = Duration.seconds(10)

  func send(
    _ request: HTTPRequest, to endpoint: Endpoint, timeout: Duration
  ) throws(PreemptionError) -> HTTPResponse {
    let socket = try connect(to: endpoint)
    try write(request.bytes(to: endpoint), to: socket, of: endpoint)
    var parser = ResponseParser()
    var chunk = [UInt8](repeating: 0, count: 16 << 10)
    var deadline = Self.now + timeout
    var isFirst = true
    while parser.result == nil {
      try wait(for: socket, Int16(POLLIN), until: deadline, "\(endpoint.text) does not respond")
      let count = recv(socket.descriptor, &chunk, chunk.count, 0)
      if count == 0 {
        try parser.end()
      } else if count > 0 {
        if isFirst { deadline = Self.now + bodyTimeout }
        isFirst = false
        try parser.append(chunk[..<count])
      } else if errno != EINTR, errno != EAGAIN {
        throw Self.unreachable(endpoint, errno)
      }
    }
    guard let response = parser.result else { preconditionFailure("the loop ends with a response") }
    return response
  }

  private static var now: Duration { .nanoseconds(Clock.monotonicNanoseconds) }

  private static func unreachable(_ endpoint: Endpoint, _ code: Int32) -> PreemptionError {
    PreemptionError(
      .unreachable, "cannot reach \(endpoint.text)", errno: Errno(rawValue: code),
      hint: "curl http://\(endpoint.text)/; or choose another source, or none: --preemption none")
  }

  private func connect(to endpoint: Endpoint) throws(PreemptionError) -> OpenFile {
    var hints = addrinfo()
    hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_NUMERICSERV
    var found: UnsafeMutablePointer<addrinfo>?
    let failure = getaddrinfo(endpoint.address, "\(endpoint.port)", &hints, &found)
    guard failure == 0 else {
      throw PreemptionError(
        .unreachable, "cannot resolve \(endpoint.address) (\(String(cString: gai_strerror(failure))))",
        hint: "getent hosts \(endpoint.address)")
    }
    defer { freeaddrinfo(found) }
    var error = Self.unreachable(endpoint, EHOSTUNREACH)
    var next = found
    while let address = next?.pointee {
      next = address.ai_next
      do {
        return try connect(to: address, of: endpoint)
      } catch {
        if error.code == .cancelled { throw error }
        // Try the next address.
      }
      error = Self.unreachable(endpoint, errno)
    }
    throw error
  }

  private func connect(to address: addrinfo, of endpoint: Endpoint) throws(PreemptionError) -> OpenFile {
    let type = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
    let descriptor = Glibc.socket(address.ai_family, type, 0)
    guard descriptor >= 0 else { throw Self.unreachable(endpoint, errno) }
    let socket = OpenFile(adopting: descriptor, path: FilePath(endpoint.text))
    if Glibc.connect(descriptor, address.ai_addr, address.ai_addrlen) == 0 { return socket }
    guard errno == EINPROGRESS else { throw Self.unreachable(endpoint, errno) }
    try wait(
      for: socket, Int16(POLLOUT), until: Self.now + Self.connectTimeout,
      "cannot reach \(endpoint.text) (no response)")
    var code: CInt = 0
    var size = socklen_t(MemoryLayout<CInt>.size)
    guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size) == 0, code == 0 else {
      throw Self.unreachable(endpoint, code)
    }
    return socket
  }

  private func write(
    _ bytes: [UInt8], to socket: OpenFile, of endpoint: Endpoint
  ) throws(PreemptionError) {
    let deadline = Self.now + Self.connectTimeout
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        Glibc.send(socket.descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
      }
      if count >= 0 {
        rest = rest.dropFirst(count)
      } else if errno == EAGAIN {
        try wait(for: socket, Int16(POLLOUT), until: deadline, "\(endpoint.text) does not read the request")
      } else if errno != EINTR {
        throw Self.unreachable(endpoint, errno)
      }
    }
  }

  private func wait(
    for socket: OpenFile, _ events: Int16, until deadline: Duration, _ message: String
  ) throws(PreemptionError) {
    var polled = [
      pollfd(fd: socket.descriptor, events: events, revents: 0),
      pollfd(fd: cancellation.descriptor, events: Int16(POLLIN), revents: 0),
    ]
    while true {
      let left = deadline - Self.now
      guard left > .zero else {
        throw PreemptionError(
          .timedOut, message,
          hint: "check the endpoint; or choose another source, or none: --preemption none")
      }
      // Rounded up, to avoid spinning at the end.
      let milliseconds = CInt(clamping: Int64(left / .milliseconds(1)) + 1)
      let ready = poll(&polled, 2, milliseconds)
      if polled[1].revents != 0 {
        throw PreemptionError(.cancelled, "cancelled", hint: "nothing to do")
      }
      if ready > 0, polled[0].revents != 0 { return }
    }
  }
}
