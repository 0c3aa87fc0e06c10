import Synchronization

/// The part of EC2's metadata server (version 2 only) that serves notices.
public final class FakeAmazon: Sendable {
  public let server: FakeServer
  private let state: State

  private final class State: Sendable {
    struct Values {
      var tokens: Set<String> = []
      var given = 0
      var documents: [String: String] = [:]
      var broken: FakeServer.Answer?
    }
    let values = Mutex(Values())
  }

  public init() throws {
    let state = State()
    self.state = state
    server = try FakeServer { request, _ in Self.answer(request, state) }
  }

  /// Sets the notice: `{"action": …, "time": …}`; nil cancels it.
  public func setAction(_ document: String?) {
    state.values.withLock { $0.documents["/latest/meta-data/spot/instance-action"] = document }
  }

  public func setRebalance(_ document: String?) {
    state.values.withLock { $0.documents["/latest/meta-data/events/recommendations/rebalance"] = document }
  }

  /// Rejects all existing tokens from now on.
  public func expireTokens() { state.values.withLock { $0.tokens = [] } }

  /// Sends this response instead; nil restores the normal ones.
  public func answerBadly(_ answer: FakeServer.Answer?) { state.values.withLock { $0.broken = answer } }

  private static func answer(_ request: FakeServer.Request, _ state: State) -> FakeServer.Answer {
    state.values.withLock { values in
      if request.target == "/latest/api/token" {
        guard request.method == "PUT", request.headers["x-forwarded-for"] == nil else {
          return .whole(403, "")
        }
        guard let life = Int(request.headers["x-aws-ec2-metadata-token-ttl-seconds"] ?? ""),
          (1...21_600).contains(life)
        else { return .whole(400, "") }
        values.given += 1
        let token = "AQAEALsq\(values.given)=="
        values.tokens.insert(token)
        return .whole(200, headers: ["X-Aws-Ec2-Metadata-Token-Ttl-Seconds": "\(life)"], token)
      }
      guard let token = request.headers["x-aws-ec2-metadata-token"], values.tokens.contains(token) else {
        return .whole(401, "<?xml version=\"1.0\"?>Unauthorized")
      }
      if let broken = values.broken { return broken }
      guard let document = values.documents[request.target] else {
        return .whole(404, "<?xml version=\"1.0\"?>Not Found")
      }
      return .whole(200, headers: ["Content-Type": "text/plain"], document)
    }
  }
}
