/// Tracks whether a source responds: reports each change once, and determines the pause between requests.
struct Reachability: Hashable, Sendable {
  /// Consecutive failures before a report; metadata servers have short outages.
  static let failureLimit = 3

  let name: String
  /// Whether the user named the source. If it was detected, it may not exist.
  let isNamed: Bool
  private var failures = 0
  private var wasReached = false
  private var isReported = false

  init(name: String, isNamed: Bool) {
    self.name = name
    self.isNamed = isNamed
  }

  /// Before the next request: 1 s, 2 s, 4 s … 60 s; up to five minutes for a detected source that never responded.
  var pause: Duration {
    guard failures > 0 else { return .zero }
    let longest = isNamed || wasReached ? Duration.seconds(60) : .seconds(300)
    return min(longest, .seconds(1 << min(failures - 1, 10)))
  }

  mutating func failed(_ error: PreemptionError) -> NoticeReport? {
    failures += 1
    guard failures >= Self.failureLimit, !isReported else { return nil }
    isReported = true
    let text = "no preemption notices from \(name): \(error); SIGTERM is still handled"
    return isNamed || wasReached ? .degraded(text) : .absent(text)
  }

  mutating func succeeded() -> NoticeReport? {
    failures = 0
    wasReached = true
    guard isReported else { return nil }
    isReported = false
    return .recovered("\(name) responds again")
  }
}
