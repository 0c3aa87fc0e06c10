import Glibc
import POSIX
import Synchronization

/// An HTTP server on loopback with scripted responses, valid or not. One thread and one request for each
/// connection.
public final class FakeServer: Sendable {
  public struct Request: Sendable {
    public var method: String
    public var target: String
    /// By lower-case name.
    public var headers: [String: String]
    public var body: String
  }

  public enum Answer: Sendable {
    case whole(Int, headers: [String: String] = [:], String)
    case chunked(Int, headers: [String: String] = [:], String)
    /// Sent as it is, complete or not, then the connection is closed.
    case raw(String)
    /// Byte by byte, with a pause between them.
    case drip(String, pauseMilliseconds: UInt32)
    /// An endless body.
    case endless
    /// No response until the server stops.
    case never
  }

  public let port: UInt16
  private let listener: CInt
  private let handler: @Sendable (Request, FakeServer) -> Answer
  private let state = Mutex(State())

  private struct State {
    var isStopped = false
    var connections: Set<CInt> = []
    var requests: [Request] = []
  }

  /// - Parameter handler: called on the connection's thread; may block while `isStopped` is false.
  public init(_ handler: @escaping @Sendable (Request, FakeServer) -> Answer) throws {
    self.handler = handler
    listener = try posix("socket") { socket(AF_INET, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let listener = listener
    try withUnsafeMutablePointer(to: &address) { pointer in
      try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
        try posix("bind") { bind(listener, generic, size) }
        try posix("listen") { listen(listener, 64) }
        try posix("getsockname") { getsockname(listener, generic, &size) }
      }
    }
    port = UInt16(bigEndian: address.sin_port)
    try NativeThread.start { [self] in accept() }
  }

  public var endpoint: String { "127.0.0.1:\(port)" }
  public var requests: [Request] { state.withLock { $0.requests } }
  public var isStopped: Bool { state.withLock { $0.isStopped } }

  /// Closes every connection and accepts no more.
  public func stop() {
    state.withLock { state in
      guard !state.isStopped else { return }
      state.isStopped = true
      for connection in state.connections { shutdown(connection, CInt(SHUT_RDWR)) }
      shutdown(listener, CInt(SHUT_RDWR))
    }
  }

  private func accept() {
    while true {
      let connection = Glibc.accept(listener, nil, nil)
      let isWanted = state.withLock { state in
        guard connection >= 0, !state.isStopped else { return false }
        state.connections.insert(connection)
        return true
      }
      guard isWanted else {
        if connection >= 0 { close(connection) }
        if isStopped { break }
        continue
      }
      do {
        try NativeThread.start { [self] in serve(connection) }
      } catch {
        end(connection)
      }
    }
    close(listener)
  }

  private func end(_ connection: CInt) {
    state.withLock { state in
      state.connections.remove(connection)
      close(connection)
    }
  }

  private func serve(_ connection: CInt) {
    defer { end(connection) }
    guard let request = read(connection) else { return }
    state.withLock { $0.requests.append(request) }
    switch handler(request, self) {
    case .whole(let status, let headers, let body):
      write(Self.head(status, headers) + "Content-Length: \(body.utf8.count)\r\n\r\n" + body, to: connection)
    case .chunked(let status, let headers, let body):
      let middle = body.utf8.count / 2
      let parts = [String(body.utf8.prefix(middle)) ?? "", String(body.utf8.dropFirst(middle)) ?? ""]
      let chunks = parts.filter { !$0.isEmpty }.map { "\(String($0.utf8.count, radix: 16))\r\n\($0)\r\n" }
        .joined()
      write(
        Self.head(status, headers) + "Transfer-Encoding: chunked\r\n\r\n\(chunks)0\r\n\r\n", to: connection)
    case .raw(let text): write(text, to: connection)
    case .drip(let text, let pause):
      for byte in text.utf8 where !isStopped {
        guard write(String(UnicodeScalar(byte)), to: connection) else { return }
        usleep(pause * 1000)
      }
    case .endless:
      write("HTTP/1.1 200 OK\r\n\r\n", to: connection)
      let block = String(repeating: "x", count: 1 << 16)
      for _ in 0..<160 where write(block, to: connection) {}
    case .never:
      while !isStopped { usleep(10_000) }
    }
  }

  public static func head(_ status: Int, _ headers: [String: String]) -> String {
    "HTTP/1.1 \(status) Status\r\n" + headers.map { "\($0.key): \($0.value)\r\n" }.joined()
  }

  @discardableResult
  private func write(_ text: String, to connection: CInt) -> Bool {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  private func read(_ connection: CInt) -> Request? {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
      let text = String(decoding: bytes, as: UTF8.self)
      if let request = Self.parse(text) { return request }
      let count = recv(connection, &chunk, chunk.count, 0)
      guard count > 0 else { return nil }
      bytes += chunk[..<count]
    }
  }

  private static func parse(_ text: String) -> Request? {
    let lines = text.split(separator: "\r\n", omittingEmptySubsequences: false)
    guard let end = lines.firstIndex(of: ""), end > 0 else { return nil }
    let words = lines[0].split(separator: " ")
    guard words.count == 3 else { return nil }
    var headers: [String: String] = [:]
    for line in lines[1..<end] {
      let parts = line.split(separator: ":", maxSplits: 1)
      if parts.count == 2 { headers[parts[0].lowercased()] = String(parts[1].drop { $0 == " " }) }
    }
    let body = lines[(end + 1)...].joined(separator: "\r\n")
    guard body.utf8.count >= Int(headers["content-length"] ?? "0") ?? 0 else { return nil }
    return Request(method: String(words[0]), target: String(words[1]), headers: headers, body: body)
  }
}
