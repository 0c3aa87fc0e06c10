import Supervision
import Testing

@testable import Preemption

/// Requests and responses of the protocols, without a network.
@Suite struct ConversationTests {
  static func google(_ text: String, tag: String = "a1") -> HTTPResponse {
    HTTPResponse(status: 200, headers: ["metadata-flavor": "Google", "etag": tag], body: Array(text.utf8))
  }

  static func json(_ text: String, date: String? = nil) -> HTTPResponse {
    HTTPResponse(status: 200, headers: date.map { ["date": $0] } ?? [:], body: Array(text.utf8))
  }

  static let missing = HTTPResponse(status: 404)

  // MARK: Google

  @Test func googleIsPolledWithEtag() throws {
    var conversation = GoogleConversation(.preempted)
    let first = conversation.next(at: .zero)
    #expect(first.request.target == "/computeMetadata/v1/instance/preempted")
    #expect(first.request.headers == ["Metadata-Flavor": "Google"])
    #expect(try conversation.handle(Self.google("FALSE\n", tag: "4411"), at: .zero).isEmpty)
    let second = conversation.next(at: .zero)
    #expect(
      second.request.target
        == "/computeMetadata/v1/instance/preempted?wait_for_change=true&last_etag=4411&timeout_sec=60")
    #expect(second.timeout > .seconds(60))
    let reports = try conversation.handle(Self.google("TRUE"), at: .zero)
    let notice = PreemptionNotice(
      source: "GCE", event: "preempted", action: "preempted", longestLead: .seconds(30))
    #expect(reports == [.notice(notice)])
    #expect(try conversation.handle(Self.google("TRUE"), at: .zero).isEmpty, "reported once")
    #expect(try conversation.handle(Self.google("FALSE"), at: .zero) == [.cancelled(event: "preempted")])
  }

  @Test func googleMaintenanceIsNoticeOnlyIfItTerminates() throws {
    var conversation = GoogleConversation(.maintenance)
    for text in ["NONE", "MIGRATE_ON_HOST_MAINTENANCE"] {
      #expect(try conversation.handle(Self.google(text), at: .zero).isEmpty)
    }
    #expect(try conversation.handle(Self.google("TERMINATE_ON_HOST_MAINTENANCE"), at: .zero).count == 1)
  }

  @Test func invalidGoogleResponseIsRejected() {
    var conversation = GoogleConversation(.preempted)
    let answers = [
      HTTPResponse(status: 200, body: Array("TRUE".utf8)),
      HTTPResponse(status: 503, headers: ["metadata-flavor": "Google"]), Self.google("PERHAPS"),
      Self.google(""),
    ]
    for answer in answers {
      #expect(throws: PreemptionError.self) { try conversation.handle(answer, at: .zero) }
    }
    #expect(conversation.next(at: .zero).request.target == "/computeMetadata/v1/instance/preempted")
  }

  @Test func invalidEtagIsNotSent() throws {
    var conversation = GoogleConversation(.preempted)
    _ = try conversation.handle(Self.google("FALSE", tag: "x HTTP/1.1\r\nA: b"), at: .zero)
    #expect(conversation.next(at: .zero).request.target.hasSuffix("last_etag=0&timeout_sec=60"))
  }

  // MARK: Amazon

  /// A conversation with a token.
  static func amazon() throws -> AmazonConversation {
    var conversation = AmazonConversation()
    let request = conversation.next(at: .zero).request
    #expect(request.method == .put && request.target == "/latest/api/token")
    #expect(request.headers == ["X-aws-ec2-metadata-token-ttl-seconds": "21600"])
    _ = try conversation.handle(Self.json("token-1"), at: .zero)
    return conversation
  }

  @Test func amazonRequestsAlternateAndHaveToken() throws {
    var conversation = try Self.amazon()
    let first = conversation.next(at: .zero).request
    #expect(first.target == "/latest/meta-data/spot/instance-action")
    #expect(first.headers == ["X-aws-ec2-metadata-token": "token-1"])
    #expect(try conversation.handle(Self.missing, at: .zero).isEmpty)
    #expect(
      conversation.next(at: .zero).request.target == "/latest/meta-data/events/recommendations/rebalance")
    #expect(
      try conversation.handle(Self.json(#"{"noticeTime":"2020-10-27T08:22:00Z"}"#), at: .zero).count == 1)
    _ = conversation.next(at: .zero)
    let reports = try conversation.handle(
      Self.json(
        #"{"action": "terminate", "time": "2017-09-18T08:22:00Z"}"#, date: "Mon, 18 Sep 2017 08:20:05 GMT"),
      at: .zero)
    guard case .notice(let notice) = reports.first else { throw Missing() }
    #expect(notice.action == "terminate")
    #expect(notice.lead(at: Moment(monotonic: .zero, wall: .zero)) == .seconds(115))
    _ = conversation.next(at: .zero)
    #expect(
      try conversation.handle(Self.json(#"{"noticeTime":"2020-10-27T08:22:00Z"}"#), at: .zero).isEmpty,
      "reported once")
    _ = conversation.next(at: .zero)
    #expect(try conversation.handle(Self.missing, at: .zero) == [.cancelled()])
  }

  struct Missing: Error {}

  @Test func amazonTokenIsRenewedBeforeExpiryAndOnRejection() throws {
    var conversation = try Self.amazon()
    _ = conversation.next(at: .seconds(10))
    _ = try conversation.handle(Self.missing, at: .seconds(10))
    #expect(conversation.next(at: .seconds(20_000)).request.method == .put, "well before it expires")
    _ = try conversation.handle(Self.json("token-2"), at: .seconds(20_000))
    let question = conversation.next(at: .seconds(20_001)).request
    #expect(question.headers == ["X-aws-ec2-metadata-token": "token-2"])
    #expect(question.target.hasSuffix("rebalance"), "it continues with the interrupted request")
    _ = try conversation.handle(Self.missing, at: .seconds(20_001))
    _ = conversation.next(at: .seconds(20_002))
    _ = try conversation.handle(HTTPResponse(status: 401), at: .seconds(20_002))
    let renewal = conversation.next(at: .seconds(20_002))
    #expect(renewal.request.method == .put && renewal.pause == .zero)
    _ = try conversation.handle(Self.json("token-3"), at: .seconds(20_003))
    #expect(throws: PreemptionError.self, "a rejected new token is an error") {
      try conversation.handle(HTTPResponse(status: 401), at: .seconds(20_003))
    }
  }

  @Test(arguments: [
    "", "{", "[]", "null", #"{"action":"terminate"}"#, #"{"action":"terminate","time":"soon"}"#,
    #"{"action":1,"time":"2017-09-18T08:22:00Z"}"#, #"{"action":"terminate","time":null}"#, "\u{0}\u{1}",
  ]) func invalidAmazonActionIsRejected(text: String) throws {
    var conversation = try Self.amazon()
    _ = conversation.next(at: .zero)
    #expect(throws: PreemptionError.self) { try conversation.handle(Self.json(text), at: .zero) }
  }

  @Test(arguments: [
    HTTPResponse(status: 403), HTTPResponse(status: 200),
    HTTPResponse(status: 200, body: Array("a\r\nb: c".utf8)),
  ]) func invalidAmazonTokenIsRejected(answer: HTTPResponse) {
    var conversation = AmazonConversation()
    _ = conversation.next(at: .zero)
    #expect(throws: PreemptionError.self) { try conversation.handle(answer, at: .zero) }
  }

  // MARK: Azure

  static func event(
    _ type: String, _ resources: String = "vm1", identifier: String = "E1",
    notBefore: String = "Mon, 19 Sep 2016 18:29:47 GMT", status: String = "Scheduled"
  ) -> String {
    """
    {"EventId":"\(identifier)","EventType":"\(type)","ResourceType":"VirtualMachine",
     "Resources":["\(resources)"],"EventStatus":"\(status)","NotBefore":"\(notBefore)",
     "Description":"","EventSource":"Platform","DurationInSeconds":-1}
    """
  }

  static func azure(_ events: String...) -> HTTPResponse {
    json(
      "{\"DocumentIncarnation\":1,\"Events\":[\(events.joined(separator: ","))]}",
      date: "Mon, 19 Sep 2016 18:29:17 GMT")
  }

  /// A conversation with the machine's name.
  static func azure() throws -> AzureConversation {
    var conversation = AzureConversation()
    let request = conversation.next(at: .zero).request
    #expect(request.target == "/metadata/instance/compute/name?api-version=2021-02-01&format=text")
    #expect(request.headers == ["Metadata": "true"])
    _ = try conversation.handle(Self.json("VM1"), at: .zero)
    return conversation
  }

  @Test func azureTimeoutAllowsSlowFirstResponse() throws {
    var conversation = try Self.azure()
    let first = conversation.next(at: .zero)
    #expect(first.request.target == "/metadata/scheduledevents?api-version=2020-07-01")
    #expect(first.timeout > .seconds(120))
    _ = try conversation.handle(Self.azure(), at: .zero)
    #expect(conversation.next(at: .zero).timeout < .seconds(30))
  }

  @Test(arguments: [("Preempt", 30), ("Reboot", 30), ("Redeploy", 30)])
  func azureEventsOfThisMachineAreNotices(type: String, seconds: Int) throws {
    var conversation = try Self.azure()
    let reports = try conversation.handle(Self.azure(Self.event(type)), at: .zero)
    guard case .notice(let notice) = reports.first else { throw Missing() }
    #expect(notice.event == "E1" && notice.action == type && notice.wantsAcknowledgement)
    #expect(notice.lead(at: Moment(monotonic: .zero, wall: .zero)) == .seconds(seconds))
    #expect(try conversation.handle(Self.azure(Self.event(type)), at: .zero).isEmpty, "reported once")
    let begun = Self.event(type, notBefore: "", status: "Started")
    #expect(try conversation.handle(Self.azure(begun), at: .zero).isEmpty)
    #expect(try conversation.handle(Self.azure(), at: .zero) == [.cancelled()])
  }

  @Test func otherAzureEventsAreIgnored() throws {
    var conversation = try Self.azure()
    let reports = try conversation.handle(
      Self.azure(Self.event("Preempt", "vm2"), Self.event("Preempt", "vm11"), Self.event("SomethingNew")),
      at: .zero)
    #expect(reports.isEmpty)
    let freeze = try conversation.handle(Self.azure(Self.event("Freeze")), at: .zero)
    #expect(freeze.count == 1)
    #expect(try conversation.handle(Self.azure(Self.event("Freeze")), at: .zero).isEmpty, "warned once")
  }

  @Test func earliestAzureEventIsReported() throws {
    var conversation = try Self.azure()
    let reports = try conversation.handle(
      Self.azure(
        Self.event("Reboot", identifier: "R", notBefore: "Mon, 19 Sep 2016 18:39:47 GMT"),
        Self.event("Preempt")),
      at: .zero)
    guard case .notice(let notice) = reports.first else { throw Missing() }
    #expect(notice.event == "E1" && reports.count == 1)
  }

  @Test(arguments: ["", "{", "{}", "[]", #"{"Events":{}}"#, #"{"Events":[{"EventId":1}]}"#])
  func
    whatAreNoEventsIsRefused(text: String) throws
  {
    var conversation = try Self.azure()
    #expect(throws: PreemptionError.self) { try conversation.handle(Self.json(text), at: .zero) }
  }

  @Test func azureAcknowledgementHasDocumentedFormat() throws {
    let request = try #require(AzureConversation.acknowledgement(of: "E\"1"))
    #expect(request.method == .post && request.target == "/metadata/scheduledevents?api-version=2020-07-01")
    #expect(request.body == #"{"StartRequests":[{"EventId":"E\"1"}]}"#)
    #expect(request.headers["Metadata"] == "true")
  }

  @Test func damagedResponsesNeverCrash() throws {
    var random = Seeded(seed: 5)
    for _ in 0..<2_000 {
      var body = Self.azure(Self.event("Preempt"), Self.event("Freeze")).body
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        body[Int.random(in: body.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      var azure = try Self.azure()
      _ = try? azure.handle(HTTPResponse(status: 200, body: body), at: .zero)
      var amazon = try Self.amazon()
      _ = amazon.next(at: .zero)
      _ = try? amazon.handle(HTTPResponse(status: 200, body: body), at: .zero)
    }
  }
}
