import FoundationEssentials
import Supervision

/// EC2: requests a token first (IMDSv2), then two values in turn. 404 is the usual response to both.
struct AmazonConversation: Conversation {
  /// Seconds; the maximum.
  static let tokenLife = 21_600
  /// Up to this much of a notice's two minutes can be lost.
  static let interval = Duration.seconds(2)
  private static let tokenHeader = "X-aws-ec2-metadata-token"

  private enum Question: Hashable { case token, action, rebalance }

  private struct Token: Hashable {
    var text: String
    var expiresAt: Duration
    var wasAccepted = false
  }

  private struct Action: Decodable {
    var action: String
    var time: String
  }

  private struct Recommendation: Decodable { var noticeTime: String }

  let name = Cloud.aws.name
  private var question = Question.token
  private var token: Token?
  private var afterToken = Question.action
  private var pause = Duration.zero
  private var known: PreemptionNotice?
  private var recommendation: String?

  mutating func next(at now: Duration) -> Exchange {
    // Renew the token well before it expires.
    if question != .token, token.map({ $0.expiresAt - .seconds(Self.tokenLife / 6) <= now }) ?? true {
      afterToken = question
      question = .token
    }
    switch question {
    case .token:
      return Exchange(
        request: HTTPRequest(
          .put, "/latest/api/token", headers: ["\(Self.tokenHeader)-ttl-seconds": "\(Self.tokenLife)"]))
    case .action:
      return get("/latest/meta-data/spot/instance-action")
    case .rebalance:
      return get("/latest/meta-data/events/recommendations/rebalance")
    }
  }

  private func get(_ path: String) -> Exchange {
    Exchange(
      request: HTTPRequest(.get, path, headers: [Self.tokenHeader: token?.text ?? ""]), pause: pause)
  }

  mutating func handle(
    _ response: HTTPResponse, at now: Duration
  ) throws(PreemptionError) -> [NoticeReport] {
    if question == .token {
      try readToken(response, at: now)
      return []
    }
    if response.status == 401 {
      // The token expired, or the machine was resumed elsewhere. Rejecting a new token is an error.
      guard token?.wasAccepted == true else {
        token = nil
        throw PreemptionError(answer: "EC2's metadata server rejected a new token")
      }
      token = nil
      pause = .zero
      return []
    }
    token?.wasAccepted = true
    let reports = question == .action ? try readAction(response) : try readRecommendation(response)
    pause = question == .action ? .zero : Self.interval
    question = question == .action ? .rebalance : .action
    return reports
  }

  private mutating func readToken(_ response: HTTPResponse, at now: Duration) throws(PreemptionError) {
    let text = response.text
    guard response.status == 200, !text.isEmpty, text.utf8.count <= 1024,
      text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
    else {
      throw PreemptionError(
        answer: "EC2's metadata server returned no valid token (status \(response.status))")
    }
    let life = response.headers["x-aws-ec2-metadata-token-ttl-seconds"].flatMap { Int($0) }
    token = Token(text: text, expiresAt: now + .seconds(max(60, min(life ?? Self.tokenLife, Self.tokenLife))))
    question = afterToken
  }

  private mutating func readAction(_ response: HTTPResponse) throws(PreemptionError) -> [NoticeReport] {
    guard let action: Action = try Self.decode(response, "spot/instance-action") else {
      defer { known = nil }
      return known == nil ? [] : [.cancelled()]
    }
    guard let time = InternetDate.rfc3339(action.time) else {
      throw PreemptionError(answer: "EC2's metadata server returned an invalid time")
    }
    let notice = PreemptionNotice(
      source: name, action: String(action.action.prefix(40)), deadline: time, saidAt: response.date,
      longestLead: .seconds(120))
    if let known, known.action == notice.action, known.deadline == time { return [] }
    known = notice
    return [.notice(notice)]
  }

  private mutating func readRecommendation(
    _ response: HTTPResponse
  ) throws(PreemptionError) -> [NoticeReport] {
    let newest: Recommendation? = try Self.decode(response, "recommendations/rebalance")
    defer { recommendation = newest?.noticeTime }
    guard let newest, newest.noticeTime != recommendation else { return [] }
    return [.warning(source: name, text: "this machine is at a higher risk of interruption (rebalance)")]
  }

  /// - Returns: nil for 404, which means that there is no value.
  private static func decode<Value: Decodable>(
    _ response: HTTPResponse, _ what: String
  ) throws(PreemptionError) -> Value? {
    if response.status == 404 { return nil }
    guard response.status == 200 else {
      throw PreemptionError(answer: "EC2's metadata server returned status \(response.status) for \(what)")
    }
    do {
      return try JSONDecoder().decode(Value.self, from: Data(response.body))
    } catch {
      throw PreemptionError(answer: "EC2's metadata server returned an invalid response for \(what)")
    }
  }
}
