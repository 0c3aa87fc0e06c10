import Glibc
import Synchronization

/// The part of Compute Engine's metadata server that serves notices.
public final class FakeGoogle: Sendable {
  public let server: FakeServer
  private let values: Values

  private final class Values: Sendable {
    let current = Mutex(["preempted": "FALSE", "maintenance-event": "NONE"])
  }

  public init() throws {
    let values = Values()
    self.values = values
    server = try FakeServer { request, server in Self.answer(request, server, values) }
  }

  public func set(_ name: String, _ value: String) { values.current.withLock { $0[name] = value } }

  private static func answer(_ request: FakeServer.Request, _ server: FakeServer, _ values: Values)
    -> FakeServer.Answer
  {
    // The real server rejects requests that may come from a browser or through a proxy.
    guard request.headers["metadata-flavor"] == "Google", request.headers["x-forwarded-for"] == nil else {
      return .whole(403, "<!DOCTYPE html>Forbidden")
    }
    let parts = request.target.split(separator: "?", maxSplits: 1)
    let prefix = "/computeMetadata/v1/instance/"
    guard let path = parts.first, path.hasPrefix(prefix) else {
      return .whole(404, "<!DOCTYPE html>Not Found")
    }
    let name = String(path.dropFirst(prefix.count))
    guard let first = values.current.withLock({ $0[name] }) else {
      return .whole(404, "<!DOCTYPE html>Not Found")
    }
    var query: [String: String] = [:]
    for pair in parts.dropFirst().first?.split(separator: "&") ?? [] {
      let sides = pair.split(separator: "=", maxSplits: 1)
      if sides.count == 2 { query[String(sides[0])] = String(sides[1]) }
    }
    var value = first
    if query["wait_for_change"] == "true" {
      // Wait until the value differs from the one that the caller knows, or the timeout.
      let known = query["last_etag"] ?? tag(first)
      let turns = (Int(query["timeout_sec"] ?? "") ?? 3600) * 100
      for _ in 0..<turns where tag(value) == known && !server.isStopped {
        usleep(10_000)
        value = values.current.withLock { $0[name] } ?? value
      }
    }
    return .whole(
      200, headers: ["Metadata-Flavor": "Google", "ETag": tag(value), "Content-Type": "application/text"],
      value)
  }

  private static func tag(_ value: String) -> String {
    String(value.utf8.reduce(7) { ($0 &* 31 &+ UInt64($1)) & 0xffff_ffff }, radix: 16)
  }
}
