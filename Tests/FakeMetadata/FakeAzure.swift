import Synchronization

/// Azure's instance metadata service: the machine's name and its scheduled events.
public final class FakeAzure: Sendable {
  public struct Event: Sendable {
    public var identifier: String
    public var type: String
    public var resources: [String]
    /// An HTTP date; empty once the event has begun.
    public var notBefore: String
    public var status = "Scheduled"

    public init(_ identifier: String, _ type: String, resources: [String], notBefore: String) {
      self.identifier = identifier
      self.type = type
      self.resources = resources
      self.notBefore = notBefore
    }

    var document: String {
      """
      {"EventId":"\(identifier)","EventStatus":"\(status)","EventType":"\(type)",
       "ResourceType":"VirtualMachine","Resources":["\(resources.joined(separator: "\",\""))"],
       "NotBefore":"\(notBefore)","Description":"","EventSource":"Platform","DurationInSeconds":-1}
      """
    }
  }

  public let server: FakeServer
  private let state: State

  private final class State: Sendable {
    let events = Mutex<(incarnation: Int, list: [Event])>((1, []))
  }

  public init(machine: String) throws {
    let state = State()
    self.state = state
    server = try FakeServer { request, _ in Self.answer(request, machine, state) }
  }

  public func set(_ events: [Event]) {
    state.events.withLock {
      $0.incarnation += 1
      $0.list = events
    }
  }

  /// Identifiers of acknowledged events.
  public var started: [String] {
    state.events.withLock { $0.list.filter { $0.status == "Started" }.map(\.identifier) }
  }

  private static func answer(_ request: FakeServer.Request, _ machine: String, _ state: State)
    -> FakeServer.Answer
  {
    guard request.headers["metadata"] == "true", request.headers["x-forwarded-for"] == nil else {
      return .whole(400, "{ \"error\": \"Bad request. 'Metadata' header is required.\" }")
    }
    switch (request.method, request.target) {
    case ("GET", "/metadata/instance/compute/name?api-version=2021-02-01&format=text"):
      return .whole(200, headers: ["Content-Type": "text/plain; charset=utf-8"], machine)
    case ("GET", "/metadata/scheduledevents?api-version=2020-07-01"):
      return state.events.withLock { events in
        let list = events.list.map(\.document).joined(separator: ",")
        return .chunked(
          200, headers: ["Content-Type": "application/json; charset=utf-8"],
          "{\"DocumentIncarnation\":\(events.incarnation),\"Events\":[\(list)]}")
      }
    case ("POST", "/metadata/scheduledevents?api-version=2020-07-01"):
      return state.events.withLock { events in
        let named = events.list.indices.filter { index in
          request.body == "{\"StartRequests\":[{\"EventId\":\"\(events.list[index].identifier)\"}]}"
        }
        guard let index = named.first else { return .whole(400, "{ \"error\": \"Bad request\" }") }
        events.list[index].status = "Started"
        events.list[index].notBefore = ""
        events.incarnation += 1
        return .whole(200, "")
      }
    default:
      return .whole(404, "{ \"error\": \"Not found\" }")
    }
  }
}
