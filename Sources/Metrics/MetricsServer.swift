import Glibc
import POSIX
import Reporting
import SystemPackage

/// Answers scrapes on its own thread. Every socket is non-blocking, every connection has one request and one
/// deadline, and at the limit the oldest connection is closed. So a new client is served, and memory is bounded,
/// however many and slow the others are.
final class MetricsServer {
  static let connectionLimit = 32
  /// From the accept to the last byte.
  static let requestTimeout = Duration.seconds(10)

  private struct Connection {
    var socket: OpenFile
    var deadline: Duration
    var request: [UInt8] = []
    var answer: ArraySlice<UInt8> = []
    var isAnswered = false
    /// All was sent. Further input is discarded: closing with unread input would reset the connection, and the
    /// client could lose the answer.
    var isLingering = false
  }

  private let listener: OpenFile
  /// Readable when the server must stop.
  private let cancellation: WakeUp
  private let metrics: () -> String
  /// Oldest first.
  private var connections: [Connection] = []
  /// No accept before this time, after descriptors or memory ran out.
  private var acceptsFrom = Duration.zero

  /// - Parameter metrics: returns the text of the metrics.
  /// - Throws: `cannotListen`.
  init(
    _ address: ListenAddress, cancellation: WakeUp, metrics: @escaping () -> String
  ) throws(MetricsError) {
    self.cancellation = cancellation
    self.metrics = metrics
    do {
      let type = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
      let path = FilePath(address.description)
      let listener = OpenFile(
        adopting: try posix("socket") { socket(address.family, type, 0) }, path: path)
      // Allow a port with connections in TIME_WAIT.
      var one: CInt = 1
      try posix("setsockopt") {
        setsockopt(listener.descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<CInt>.size))
      }
      try posix("bind", path) { address.withSocketAddress { bind(listener.descriptor, $0, $1) } }
      try posix("listen", path) { listen(listener.descriptor, 64) }
      self.listener = listener
    } catch {
      throw MetricsError(
        .cannotListen,
        "cannot serve metrics at \(address)", errno: error.errno,
        hint: error.errno == .addressInUse ? "ss -ltnp 'sport = :\(address.port)'" : "ip address show")
    }
  }

  /// Serves until it is cancelled.
  func run() throws(POSIXError) {
    while true {
      let now = Self.now
      connections.removeAll { $0.deadline <= now }
      var polled = [pollfd(fd: cancellation.descriptor, events: Int16(POLLIN), revents: 0)]
      // poll(2) ignores negative descriptors.
      polled.append(
        pollfd(fd: acceptsFrom <= now ? listener.descriptor : -1, events: Int16(POLLIN), revents: 0))
      for connection in connections {
        let events = connection.isAnswered && !connection.isLingering ? POLLOUT : POLLIN
        polled.append(pollfd(fd: connection.socket.descriptor, events: Int16(events), revents: 0))
      }
      try posix("poll") { poll(&polled, nfds_t(polled.count), timeout(now)) }
      if polled[0].revents != 0 { return }
      let isReady = polled.dropFirst(2).map { $0.revents != 0 }
      for index in connections.indices.reversed() where isReady[index] {
        if !proceed(&connections[index]) { connections.remove(at: index) }
      }
      if polled[1].revents != 0 { accept() }
    }
  }

  private static var now: Duration { .nanoseconds(Clock.monotonicNanoseconds) }

  /// In milliseconds, rounded up to avoid spinning at the end; -1: infinite.
  private func timeout(_ now: Duration) -> CInt {
    let moments = connections.map(\.deadline) + (acceptsFrom > now ? [acceptsFrom] : [])
    return moments.min().map { CInt(clamping: Int64(max(.zero, $0 - now) / .milliseconds(1)) + 1) } ?? -1
  }

  private func accept() {
    let descriptor = Glibc.accept(listener.descriptor, nil, nil)
    guard descriptor >= 0 else {
      // Ignore a client that has disconnected. Without descriptors or memory, the listener stays readable.
      if ![EAGAIN, EINTR, ECONNABORTED].contains(errno) { acceptsFrom = Self.now + .milliseconds(200) }
      return
    }
    let socket = OpenFile(adopting: descriptor, path: listener.path)
    guard fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0, fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0 else {
      return
    }
    if connections.count >= Self.connectionLimit { connections.removeFirst() }
    connections.append(Connection(socket: socket, deadline: Self.now + Self.requestTimeout))
  }

  /// - Returns: false when the connection is finished.
  private func proceed(_ connection: inout Connection) -> Bool {
    if connection.isAnswered, !connection.isLingering { return send(&connection) }
    var chunk = [UInt8](repeating: 0, count: 4096)
    let count = recv(connection.socket.descriptor, &chunk, chunk.count, 0)
    if count < 0 { return errno == EAGAIN || errno == EINTR }
    guard count > 0 else { return false }
    if connection.isLingering { return true }
    connection.request += chunk[..<count]
    guard let answer = Exchange.answer(connection.request, metrics: metrics) else { return true }
    connection.request = []
    connection.answer = answer[...]
    connection.isAnswered = true
    return send(&connection)
  }

  private func send(_ connection: inout Connection) -> Bool {
    while !connection.answer.isEmpty {
      let count = connection.answer.withUnsafeBytes {
        Glibc.send(connection.socket.descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
      }
      if count < 0 { return errno == EAGAIN || errno == EINTR }
      connection.answer = connection.answer.dropFirst(count)
    }
    connection.isLingering = true
    return shutdown(connection.socket.descriptor, CInt(SHUT_WR)) == 0
  }
}
