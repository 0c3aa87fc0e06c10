import FoundationEssentials
import Supervision

/// Azure's scheduled events. Every machine of a group receives all events; those that name this machine count.
struct AzureConversation: Conversation {
  private static let events = "/metadata/scheduledevents?api-version=2020-07-01"
  private static let headers = ["Metadata": "true"]

  private struct Document: Decodable {
    var events: [Event]

    enum CodingKeys: String, CodingKey { case events = "Events" }
  }

  private struct Event: Decodable {
    var identifier: String
    var type: String
    var resources: [String]?
    var notBefore: String?

    enum CodingKeys: String, CodingKey {
      case identifier = "EventId"
      case type = "EventType"
      case resources = "Resources"
      case notBefore = "NotBefore"
    }
  }

  let name = Cloud.azure.name
  private var machine: String?
  private var wasAnswered = false
  private var known: PreemptionNotice?
  private var warned: Set<String> = []

  /// Azure's minimum notice: no more time can be relied on.
  private static func lead(_ type: String) -> Duration? {
    switch type {
    case "Preempt": .seconds(30)
    case "Reboot", "Terminate": .seconds(900)
    case "Redeploy": .seconds(600)
    default: nil
    }
  }

  mutating func next(at now: Duration) -> Exchange {
    guard machine != nil else {
      let path = "/metadata/instance/compute/name?api-version=2021-02-01&format=text"
      return Exchange(request: HTTPRequest(.get, path, headers: Self.headers))
    }
    // The first request enables the service, which may take two minutes.
    return Exchange(
      request: HTTPRequest(.get, Self.events, headers: Self.headers), pause: .seconds(1),
      timeout: .seconds(wasAnswered ? 10 : 130))
  }

  /// The request that lets Azure start `event` at once.
  static func acknowledgement(of event: String) -> HTTPRequest? {
    guard let body = try? JSONEncoder().encode(["StartRequests": [["EventId": event]]]) else { return nil }
    return HTTPRequest(
      .post, events, headers: headers.merging(["Content-Type": "application/json"]) { $1 },
      body: String(decoding: body, as: UTF8.self))
  }

  mutating func handle(
    _ response: HTTPResponse, at now: Duration
  ) throws(PreemptionError) -> [NoticeReport] {
    guard response.status == 200 else {
      throw PreemptionError(answer: "Azure's metadata server returned status \(response.status)")
    }
    guard let machine else {
      let text = response.text
      guard !text.isEmpty, text.utf8.count <= 256 else {
        throw PreemptionError(answer: "Azure's metadata server did not return this machine's name")
      }
      machine = text.lowercased()
      return []
    }
    let document: Document
    do {
      document = try JSONDecoder().decode(Document.self, from: Data(response.body))
    } catch {
      throw PreemptionError(answer: "invalid scheduled events from Azure's metadata server")
    }
    wasAnswered = true
    let events = document.events.filter { event in
      event.resources?.contains { $0.lowercased() == machine } ?? false
    }
    var ends: [PreemptionNotice] = []
    for event in events {
      if let end = try notice(event, saidAt: response.date) { ends.append(end) }
    }
    return warnings(events) + notices(ends)
  }

  /// A freeze pauses the machine for some seconds.
  private mutating func warnings(_ events: [Event]) -> [NoticeReport] {
    let freezes = Set(events.filter { $0.type == "Freeze" }.map(\.identifier))
    let new = freezes.subtracting(warned)
    warned = freezes
    return new.isEmpty ? [] : [.warning(source: name, text: "this machine will be paused for some seconds")]
  }

  private mutating func notices(_ notices: [PreemptionNotice]) -> [NoticeReport] {
    // An event without a time has begun.
    let earliest = notices.min { $0.deadline ?? .zero < $1.deadline ?? .zero }
    guard var earliest else {
      defer { known = nil }
      return known == nil ? [] : [.cancelled()]
    }
    if let known, known.event == earliest.event {
      // Once begun, it has no time.
      if earliest.deadline == nil { earliest.deadline = known.deadline }
      if known.deadline == earliest.deadline { return [] }
    }
    known = earliest
    return [.notice(earliest)]
  }

  private func notice(
    _ event: Event, saidAt: Duration?
  ) throws(PreemptionError) -> PreemptionNotice? {
    // Only these types end the machine. Azure has added others, and may add more.
    guard let lead = Self.lead(event.type) else { return nil }
    var notice = PreemptionNotice(
      source: name, event: event.identifier, action: event.type, saidAt: saidAt, longestLead: lead,
      wantsAcknowledgement: true)
    let text = event.notBefore ?? ""
    guard !text.isEmpty else {
      notice.longestLead = min(lead, .seconds(10))
      return notice
    }
    guard let time = InternetDate.http(text) ?? InternetDate.rfc3339(text) else {
      throw PreemptionError(answer: "invalid time in an event from Azure's metadata server")
    }
    notice.deadline = time
    return notice
  }
}
