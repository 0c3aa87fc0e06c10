import Foundation
import Synchronization
import SystemPackage
import Testing

@testable import Metrics

/// Metrics over loopback sockets, with well and badly behaved clients.
@Suite struct ExportTests {
  /// An export that serves `fullFacts()` at a free port.
  private final class Served {
    let port: UInt16
    let export: MetricsExport
    let reports = Reports()

    init() throws {
      port = try freePort()
      export = try MetricsExport(listen: try ListenAddress(port: Int(port)), file: nil) { [reports] in
        reports.add($0)
      }
      export.publish(fullFacts())
      try wait("serving") { (try? ask(port, "GET /metrics HTTP/1.1\r\n\r\n"))?.isEmpty == false }
    }

    deinit { export.stop(timeout: .seconds(1)) }
  }

  @Test func onlyMetricsAreServed() throws {
    let served = try Served()
    let whole = try ask(served.port, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    let parts = whole.split(separator: "\r\n\r\n", maxSplits: 1).map(String.init)
    #expect(
      parts[0].hasPrefix("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"))
    #expect(parts[0].contains("Content-Length: \(parts[1].utf8.count)\r\n"))
    #expect(try promtool(parts[1]) == "")
    let head = try ask(served.port, "HEAD /metrics HTTP/1.1\r\n\r\n")
    #expect(head.hasPrefix("HTTP/1.1 200 OK\r\n") && head.hasSuffix("\r\n\r\n"))
    for (request, status) in [
      ("GET /metrics?x=1 HTTP/1.0\n\n", "200"), ("GET http://h:1/metrics HTTP/1.1\r\n\r\n", "200"),
      ("GET / HTTP/1.1\r\n\r\n", "404"), ("GET /metrics/x HTTP/1.1\r\n\r\n", "404"),
      ("POST /metrics HTTP/1.1\r\n\r\n", "405"), ("get /metrics HTTP/1.1\r\n\r\n", "405"),
      ("\r\n\r\n", "400"), ("GET /metrics\r\n\r\n", "400"), ("\0\u{ff}\r\n\r\n", "400"),
      ("GET /metrics HTTP/1.1\r\nX: " + String(repeating: "x", count: 100_000), "431"),
    ] {
      #expect(try ask(served.port, request).hasPrefix("HTTP/1.1 \(status) "), "\(request.prefix(40))")
    }
  }

  @Test func slowAndSilentClientsDoNotBlockOthers() throws {
    let served = try Served()
    var silent: [CInt] = []
    defer { for socket in silent { close(socket) } }
    for index in 0..<200 {
      let socket = try connect(served.port)
      silent.append(socket)
      if index % 2 == 0 { _ = send(socket, "GET /metr", 9, CInt(MSG_NOSIGNAL)) }
    }
    for _ in 0..<20 {
      #expect(try ask(served.port, "GET /metrics HTTP/1.1\r\n\r\n").contains("holdfast_step{"))
    }
    // Only the newest of the earlier connections remain open.
    var first = [UInt8](repeating: 0, count: 1)
    #expect(recv(silent[0], &first, 1, 0) <= 0)
  }

  @Test func portInUseIsReportedOnceAndRetried() throws {
    let first = try Served()
    let reports = Reports()
    let second = try MetricsExport(listen: try ListenAddress(port: Int(first.port)), file: nil) {
      reports.add($0)
    }
    defer { second.stop(timeout: .seconds(1)) }
    try wait("the report") { !reports.all.isEmpty }
    #expect(reports.all[0] == "cannot serve metrics at 127.0.0.1:\(first.port): Address already in use")
    first.export.stop(timeout: .seconds(1))
    try wait("serving") { reports.all.last == "serving metrics at 127.0.0.1:\(first.port)" }
    #expect(reports.all.count == 2)
  }

  @Test func addressOfAnotherMachineIsReported() throws {
    let reports = Reports()
    let export = try MetricsExport(listen: try ListenAddress("192.0.2.1:9400"), file: nil) { reports.add($0) }
    defer { export.stop(timeout: .seconds(1)) }
    try wait("the report") { !reports.all.isEmpty }
    #expect(reports.all == ["cannot serve metrics at 192.0.2.1:9400: Cannot assign requested address"])
  }

  @Test func fileIsCompleteReadableAndFinal() throws {
    let directory = NSTemporaryDirectory() + "holdfast-test-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let path = directory + "/x.prom"
    let before = umask(0o077)
    defer { umask(before) }
    let export = try MetricsExport(listen: nil, file: FilePath(path)) { Issue.record("\($0)") }
    var facts = fullFacts()
    export.publish(facts)
    try wait("the file") { FileManager.default.fileExists(atPath: path) }
    facts.isSupervised = false
    export.publish(facts)
    export.stop(timeout: .seconds(60))
    let text = try String(contentsOfFile: path, encoding: .utf8)
    #expect(text.contains("holdfast_up{job=\"resnet50\"} 0\n"))
    #expect(try promtool(text) == "")
    let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    #expect(mode == 0o644)
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["x.prom"])
  }

  @Test func unwritableFileIsReportedOnce() throws {
    let directory = NSTemporaryDirectory() + "holdfast-test-" + UUID().uuidString
    try FileManager.default.createDirectory(
      atPath: directory + "/x.prom/y", withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    for (name, why) in [("x.prom", "Is a directory"), ("none/x.prom", "No such file or directory")] {
      let reports = Reports()
      let export = try MetricsExport(listen: nil, file: FilePath(directory + "/" + name)) { reports.add($0) }
      export.publish(fullFacts())
      try wait("the report") { !reports.all.isEmpty }
      export.stop(timeout: .seconds(60))
      #expect(reports.all == ["cannot write metrics to \(directory)/\(name): \(why)"])
      #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["x.prom"])
    }
  }
}

private final class Reports: Sendable {
  private let texts = Mutex<[String]>([])

  var all: [String] { texts.withLock { $0 } }

  func add(_ report: MetricsReport) {
    texts.withLock { texts in
      switch report {
      case .degraded(let error): texts.append("\(error)")
      case .recovered(_, let text): texts.append(text)
      }
    }
  }
}

private func wait(_ what: String, _ condition: () -> Bool) throws {
  for _ in 0..<6000 {
    if condition() { return }
    usleep(10_000)
  }
  Issue.record("timed out waiting for \(what)")
  throw CancellationError()
}

private func onLoopback<Result>(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) throws
  -> Result
{
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
  address.sin_port = port.bigEndian
  return withUnsafePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
    }
  }
}

/// A port that is not in use.
private func freePort() throws -> UInt16 {
  let socket = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
  defer { close(socket) }
  try #require(try onLoopback(0) { bind(socket, $0, $1) } == 0)
  var address = sockaddr_in()
  var size = socklen_t(MemoryLayout<sockaddr_in>.size)
  let result = withUnsafeMutablePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket, $0, &size) }
  }
  try #require(result == 0)
  return UInt16(bigEndian: address.sin_port)
}

private func connect(_ port: UInt16) throws -> CInt {
  let socket = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
  guard try onLoopback(port, { Glibc.connect(socket, $0, $1) }) == 0 else {
    close(socket)
    throw CancellationError()
  }
  return socket
}

/// The whole response to `request`.
private func ask(_ port: UInt16, _ request: String) throws -> String {
  let socket = try connect(port)
  defer { close(socket) }
  let bytes = Array(request.utf8)
  _ = send(socket, bytes, bytes.count, CInt(MSG_NOSIGNAL))
  var answer: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 4096)
  while true {
    let count = recv(socket, &chunk, chunk.count, 0)
    if count <= 0 { return String(decoding: answer, as: UTF8.self) }
    answer += chunk[..<count]
  }
}
