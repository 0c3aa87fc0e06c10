import FoundationEssentials
import Supervision

/// EC2: a token first (IMDSv2), then two questions in turn. 404 is the usual answer to both.
struct AmazonConversation: Conversation {
  /// Seconds; the most that can be asked for.
  static let tokenLife = 21_600
  /// Of the two minutes that a notice leaves, this much may be lost.
  static let interval = Duration.seconds(2)
  private static let tokenHeader = "X-aws-ec2-metadata-token"

  private enum Question: Hashable { case token, action, rebalance }

  private struct Token: Hashable {
    var text: String
    var expiresAt: Duration
    var isProven = false
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
    // Renewed well before it ends.
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
      return ask("/latest/meta-data/spot/instance-action")
    case .rebalance:
      return ask("/latest/meta-data/events/recommendations/rebalance")
    }
  }

  private func ask(_ path: String) -> Exchange {
    Exchange(
      request: HTTPRequest(.get, path, headers: [Self.tokenHeader: token?.text ?? ""]), pause: pause)
  }

  mutating func take(
    _ response: HTTPResponse, at now: Duration
  ) throws(PreemptionError) -> [NoticeReport] {
    if question == .token {
      try takeToken(response, at: now)
      return []
    }
    if response.status == 401 {
      // Expired, or the machine was resumed elsewhere. A fresh one that is refused is another matter.
      guard token?.isProven == true else {
        token = nil
        throw PreemptionError(answer: "EC2's metadata server refuses the token that it gave")
      }
      token = nil
      pause = .zero
      return []
    }
    token?.isProven = true
    let reports = question == .action ? try takeAction(response) : try takeRecommendation(response)
    pause = question == .action ? .zero : Self.interval
    question = question == .action ? .rebalance : .action
    return reports
  }

  private mutating func takeToken(_ response: HTTPResponse, at now: Duration) throws(PreemptionError) {
    let text = response.text
    guard response.status == 200, !text.isEmpty, text.utf8.count <= 1024,
      text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
    else {
      throw PreemptionError(answer: "EC2's metadata server gives no token (status \(response.status))")
    }
    let life = response.headers["x-aws-ec2-metadata-token-ttl-seconds"].flatMap { Int($0) }
    token = Token(text: text, expiresAt: now + .seconds(max(60, min(life ?? Self.tokenLife, Self.tokenLife))))
    question = afterToken
  }

  private mutating func takeAction(_ response: HTTPResponse) throws(PreemptionError) -> [NoticeReport] {
    guard let action: Action = try Self.decode(response, "spot/instance-action") else {
      defer { known = nil }
      return known == nil ? [] : [.cancelled()]
    }
    guard let time = InternetDate.rfc3339(action.time) else {
      throw PreemptionError(answer: "EC2's metadata server names a time that is none")
    }
    let notice = PreemptionNotice(
      source: name, action: String(action.action.prefix(40)), deadline: time, saidAt: response.date,
      longestLead: .seconds(120))
    if let known, known.action == notice.action, known.deadline == time { return [] }
    known = notice
    return [.notice(notice)]
  }

  private mutating func takeRecommendation(
    _ response: HTTPResponse
  ) throws(PreemptionError) -> [NoticeReport] {
    let newest: Recommendation? = try Self.decode(response, "recommendations/rebalance")
    defer { recommendation = newest?.noticeTime }
    guard let newest, newest.noticeTime != recommendation else { return [] }
    return [.warning(source: name, text: "this machine is at a higher risk of interruption (rebalance)")]
  }

  /// - Returns: nil for 404, which says that there is nothing.
  private static func decode<Value: Decodable>(
    _ response: HTTPResponse, _ what: String
  ) throws(PreemptionError) -> Value? {
    if response.status == 404 { return nil }
    guard response.status == 200 else {
      throw PreemptionError(answer: "EC2's metadata server answers with status \(response.status) to \(what)")
    }
    do {
      return try JSONDecoder().decode(Value.self, from: Data(response.body))
    } catch {
      throw PreemptionError(answer: "EC2's metadata server's answer to \(what) is not what it should be")
    }
  }
}
