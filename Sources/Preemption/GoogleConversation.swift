import Supervision

/// Compute Engine: a request that is answered when the value changes. The first one is answered at
/// once and brings the tag of the value; with the tag, no change between two requests is missed.
struct GoogleConversation: Conversation {
  enum Value: String, Hashable, Sendable {
    case preempted
    case maintenance = "maintenance-event"
  }

  /// How long the server holds a request. Shorter than what a NAT or a firewall forgets.
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
    // The pause is for a server that does not hold.
    return Exchange(
      request: HTTPRequest(.get, path + query, headers: headers), pause: .seconds(1),
      patience: .seconds(Self.hold + 10))
  }

  mutating func take(
    _ response: HTTPResponse, at now: Duration
  ) throws(PreemptionError) -> [NoticeReport] {
    guard response.headers["metadata-flavor"] == "Google" else {
      throw PreemptionError(answer: "what answers is not GCE's metadata server")
    }
    guard response.status == 200 else {
      throw PreemptionError(answer: "GCE's metadata server answers with status \(response.status)")
    }
    let notice = try notice(response.text)
    // A tag that cannot stand in a query is none, and then the next request is answered at once.
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
      throw PreemptionError(answer: "GCE's metadata server says '\(text.prefix(40))' of \(value.rawValue)")
    }
  }
}
