import Supervision

/// Compute Engine: long polling. The first response comes at once with the value's etag; with the etag, no
/// change between two requests is missed.
struct GoogleConversation: Conversation {
  enum Value: String, Hashable, Sendable {
    case preempted
    case maintenance = "maintenance-event"
  }

  /// Seconds for which the server holds a request; less than the idle timeout of a NAT or firewall.
  static let hold = 60

  let name = Cloud.gce.name
  private let value: Value
  private var tag: String?
  private var isNoticed = false

  init(_ value: Value) { self.value = value }

  mutating func next(at now: Duration) -> Exchange {
    let path = "/computeMetadata/v1/instance/\(value.rawValue)"
    let headers = ["Metadata-Flavor": "Google"]
    guard let tag else { return Exchange(request: HTTPRequest(.get, path, headers: headers)) }
    let query = "?wait_for_change=true&last_etag=\(tag)&timeout_sec=\(Self.hold)"
    // The pause limits the rate if the server does not hold the request.
    return Exchange(
      request: HTTPRequest(.get, path + query, headers: headers), pause: .seconds(1),
      timeout: .seconds(Self.hold + 10))
  }

  mutating func handle(
    _ response: HTTPResponse, at now: Duration
  ) throws(PreemptionError) -> [NoticeReport] {
    guard response.headers["metadata-flavor"] == "Google" else {
      throw PreemptionError(answer: "the responding server is not GCE's metadata server")
    }
    guard response.status == 200 else {
      throw PreemptionError(answer: "GCE's metadata server returned status \(response.status)")
    }
    let notice = try notice(response.text)
    // An etag that is not safe in a query is replaced by 0, which gets an immediate response.
    let tag = response.headers["etag"] ?? "0"
    let isTag = { (byte: UInt8) in
      byte >= 0x30 && byte <= 0x39 || byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7a || byte == 0x2d
        || byte == 0x5f
    }
    self.tag = !tag.isEmpty && tag.utf8.allSatisfy(isTag) ? tag : "0"
    defer { isNoticed = notice != nil }
    if let notice { return isNoticed ? [] : [.notice(notice)] }
    return isNoticed ? [.cancelled(event: value.rawValue)] : []
  }

  private func notice(_ text: String) throws(PreemptionError) -> PreemptionNotice? {
    switch (value, text) {
    case (.preempted, "FALSE"), (.maintenance, "NONE"), (.maintenance, "MIGRATE_ON_HOST_MAINTENANCE"):
      nil
    case (.preempted, "TRUE"):
      PreemptionNotice(
        source: name, event: value.rawValue, action: "preempted", longestLead: .seconds(30))
    case (.maintenance, "TERMINATE_ON_HOST_MAINTENANCE"):
      PreemptionNotice(
        source: name, event: value.rawValue, action: "terminate for maintenance", longestLead: .seconds(60))
    default:
      throw PreemptionError(
        answer: "GCE's metadata server returned '\(text.prefix(40))' for \(value.rawValue)")
    }
  }
}
