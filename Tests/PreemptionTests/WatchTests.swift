import FakeMetadata
import Foundation
import POSIX
import Supervision
import Synchronization
import TestSupport
import Testing

@testable import Preemption

/// Whole conversations over sockets with fake servers that follow the protocols exactly.
@Suite struct WatchTests {
  /// A watch and its reports.
  final class Listener: Sendable {
    private let heard: Heard
    let watch: PreemptionWatch

    private final class Heard: Sendable { let reports = Mutex<[NoticeReport]>([]) }

    init(_ source: String, _ environment: [String]) throws {
      let heard = Heard()
      self.heard = heard
      watch = try PreemptionWatch(PreemptionSource(source), environment: environment) { report in
        heard.reports.withLock { $0.append(report) }
      }
    }

    var reports: [NoticeReport] { heard.reports.withLock { $0 } }

    func wait(for what: String, _ condition: ([NoticeReport]) -> Bool) throws {
      let end = Date().addingTimeInterval(60)
      while Date() < end {
        if condition(reports) { return }
        usleep(10_000)
      }
      Issue.record("timed out waiting for \(what): \(reports)")
      throw CancellationError()
    }
  }

  static func isNotice(_ report: NoticeReport) -> Bool { if case .notice = report { true } else { false } }
  static func isWarning(_ report: NoticeReport) -> Bool { if case .warning = report { true } else { false } }
  static func isDegraded(_ report: NoticeReport) -> Bool {
    if case .degraded = report { true } else { false }
  }
  static func isRecovered(_ report: NoticeReport) -> Bool {
    if case .recovered = report { true } else { false }
  }

  @Test func googleNoticeEndsPendingRequest() throws {
    let google = try FakeGoogle()
    defer { google.server.stop() }
    let listener = try Listener("gce", ["GCE_METADATA_HOST=\(google.server.endpoint)"])
    defer { listener.watch.stop() }
    while !google.server.requests.contains(where: { $0.target.contains("preempted?wait_for_change=true") }) {
      usleep(10_000)
    }
    #expect(listener.reports.isEmpty)
    google.set("preempted", "TRUE")
    try listener.wait(for: "the notice") { $0.contains(where: Self.isNotice) }
    google.set("preempted", "FALSE")
    try listener.wait(for: "the cancellation") { $0.contains(.cancelled(event: "preempted")) }
    #expect(google.server.requests.count < 20, "a request is held, not repeated")
  }

  @Test func amazonNoticeSurvivesExpiredTokens() throws {
    let amazon = try FakeAmazon()
    defer { amazon.server.stop() }
    let listener = try Listener(
      "aws", ["AWS_EC2_METADATA_SERVICE_ENDPOINT=http://\(amazon.server.endpoint)/"])
    defer { listener.watch.stop() }
    amazon.setRebalance(#"{"noticeTime": "2020-10-27T08:22:00Z"}"#)
    try listener.wait(for: "the warning") { $0.contains(where: Self.isWarning) }
    amazon.expireTokens()
    amazon.setAction(#"{"action": "terminate", "time": "2037-09-18T08:22:00Z"}"#)
    try listener.wait(for: "the notice") { $0.contains(where: Self.isNotice) }
    #expect(amazon.server.requests.filter { $0.method == "PUT" }.count == 2)
    amazon.setAction(nil)
    try listener.wait(for: "the cancellation") { $0.contains(.cancelled()) }
    #expect(!listener.reports.contains(where: Self.isDegraded), "an expired token is not a failure")
  }

  @Test func azureEventIsFilteredCancelledAndAcknowledged() throws {
    let azure = try FakeAzure(machine: "train-7")
    defer { azure.server.stop() }
    let others = FakeAzure.Event(
      "A", "Preempt", resources: ["train-70"], notBefore: "Mon, 19 Sep 2036 18:29:47 GMT")
    azure.set([others])
    let listener = try Listener("azure", ["HOLDFAST_AZURE_METADATA_ENDPOINT=\(azure.server.endpoint)"])
    defer { listener.watch.stop() }
    while azure.server.requests.count < 3 { usleep(10_000) }
    #expect(listener.reports.isEmpty, "another machine's")
    let ours = FakeAzure.Event(
      "B", "Preempt", resources: ["other", "train-7"], notBefore: "Fri, 19 Sep 2036 18:29:47 GMT")
    azure.set([others, ours])
    try listener.wait(for: "the notice") { $0.contains(where: Self.isNotice) }
    azure.set([others])
    try listener.wait(for: "the cancellation") { $0.contains(.cancelled()) }
    azure.set([others, ours])
    try listener.wait(for: "the second notice") { $0.filter(Self.isNotice).count == 2 }
    #expect(azure.started.isEmpty)
    try listener.watch.acknowledge(event: "B", timeout: .seconds(30))
    #expect(azure.started == ["B"])
    #expect(throws: PreemptionError.self) {
      try listener.watch.acknowledge(event: "unknown", timeout: .seconds(30))
    }
  }

  /// A failure is reported once, retried, and cleared by a valid response.
  @Test(arguments: [
    FakeServer.Answer.whole(200, "{\"action\": \"terminate\""), .endless,
    .raw("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"action\""),
  ]) func invalidResponseIsReportedOnce(answer: FakeServer.Answer) throws {
    let amazon = try FakeAmazon()
    defer { amazon.server.stop() }
    amazon.answerBadly(answer)
    let listener = try Listener("aws", ["AWS_EC2_METADATA_SERVICE_ENDPOINT=\(amazon.server.endpoint)"])
    defer { listener.watch.stop() }
    try listener.wait(for: "the failure") { $0.contains(where: Self.isDegraded) }
    let asked = amazon.server.requests.count
    while amazon.server.requests.count == asked { usleep(10_000) }
    amazon.answerBadly(nil)
    amazon.setAction(#"{"action": "stop", "time": "2037-09-18T08:22:00Z"}"#)
    try listener.wait(for: "the notice") { $0.contains(where: Self.isNotice) }
    #expect(listener.reports.filter(Self.isDegraded).count == 1)
    #expect(listener.reports.filter(Self.isRecovered).count == 1)
  }

  @Test func serverWithoutGoogleHeaderIsRejected() throws {
    let server = try FakeServer { _, _ in .whole(200, "TRUE") }
    defer { server.stop() }
    let listener = try Listener("gce", ["GCE_METADATA_HOST=\(server.endpoint)"])
    defer { listener.watch.stop() }
    try listener.wait(for: "the failure") { $0.contains(where: Self.isDegraded) }
    #expect(!listener.reports.contains(where: Self.isNotice))
  }

  @Test func proxiesAreNotUsed() throws {
    let proxy = try FakeServer { _, _ in .whole(200, headers: ["Metadata-Flavor": "Google"], "TRUE") }
    defer { proxy.stop() }
    let google = try FakeGoogle()
    defer { google.server.stop() }
    let listener = try Listener(
      "gce",
      [
        "http_proxy=http://\(proxy.endpoint)", "ALL_PROXY=http://\(proxy.endpoint)",
        "GCE_METADATA_HOST=\(google.server.endpoint)",
      ])
    defer { listener.watch.stop() }
    google.set("preempted", "TRUE")
    try listener.wait(for: "the notice") { $0.contains(where: Self.isNotice) }
    #expect(proxy.requests.isEmpty)
  }

  @Test func sourceNoneAsksNoServer() throws {
    let listener = try Listener("none", [])
    #expect(listener.watch.cloud == nil)
  }

  // MARK: Programs

  static func script(_ text: String) throws -> String {
    let path = NSTemporaryDirectory() + "holdfast-test-" + UUID().uuidString
    try ("#!/bin/bash\n" + text).write(toFile: path, atomically: true, encoding: .utf8)
    chmod(path, 0o755)
    return path
  }

  @Test func programIsRestartedAndItsLinesAreNotices() throws {
    let mark = NSTemporaryDirectory() + "holdfast-test-" + UUID().uuidString
    let path = try Self.script(
      """
      read -r line && echo "preempt 1 standard input is not empty"
      echo $$ >> '\(mark)'
      [ $(wc -l < '\(mark)') -lt 2 ] && exit 3
      echo '# comment'; echo nonsense; echo "preempt 45 for $1"; echo rebalance; echo cancel
      head -c 100000 /dev/zero | tr '\\0' x; echo
      echo 'preempt 7'; sleep 1000
      """)
    defer { for name in [path, mark] { try? FileManager.default.removeItem(atPath: name) } }
    let listener = try Listener("command:\(path) me", ["PATH=/usr/bin:/bin"])
    defer { listener.watch.stop() }
    try listener.wait(for: "the last line") { $0.filter(Self.isNotice).count == 2 }
    let heard = listener.reports.filter { !Self.isDegraded($0) && !Self.isRecovered($0) }
    let name = URL(fileURLWithPath: path).lastPathComponent
    #expect(
      heard == [
        .notice(.init(source: name, action: "for me", longestLead: .seconds(45))),
        .warning(source: name, text: "this machine may be preempted"), .cancelled(),
        .notice(.init(source: name, action: "preempt", longestLead: .seconds(7))),
      ])
    let pids = try String(contentsOfFile: mark, encoding: .utf8).split(separator: "\n").compactMap {
      Int32($0)
    }
    let session = try #require(pids.last)
    defer { kill(-session, SIGKILL) }
    #expect(!Processes.running(inGroup: session).isEmpty)
    listener.watch.stop()
    let end = Date().addingTimeInterval(60)
    while !Processes.running(inGroup: session).isEmpty, Date() < end { usleep(10_000) }
    #expect(Processes.running(inGroup: session).isEmpty, "the program and its sleep are gone")
  }

  @Test func unstartableProgramIsReportedOnce() throws {
    let listener = try Listener("command:/nonexistent/watch", ["PATH=/usr/bin"])
    defer { listener.watch.stop() }
    try listener.wait(for: "the failure") { $0.contains(where: Self.isDegraded) }
    #expect(listener.reports.count == 1)
  }
}
