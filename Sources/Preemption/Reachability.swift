/// Whether a source answers, told once and not for each question; and how long to leave it alone.
struct Reachability: Hashable, Sendable {
  /// One lost answer is nobody's business: the metadata servers are away for a moment now and then.
  static let patience = 3

  let name: String
  /// The user named it. Otherwise it may well be that it was never there.
  let isNamed: Bool
  private var failures = 0
  private var wasReached = false
  private var isTold = false

  init(name: String, isNamed: Bool) {
    self.name = name
    self.isNamed = isNamed
  }

  /// Before the next question: 1 s, 2 s, 4 s … 60 s; five minutes where it was never there.
  var pause: Duration {
    guard failures > 0 else { return .zero }
    let longest = isNamed || wasReached ? Duration.seconds(60) : .seconds(300)
    return min(longest, .seconds(1 << min(failures - 1, 10)))
  }

  mutating func failed(_ error: PreemptionError) -> NoticeReport? {
    failures += 1
    guard failures >= Self.patience, !isTold else { return nil }
    isTold = true
    let text = "no preemption notices from \(name): \(error); SIGTERM is obeyed all the same"
    return isNamed || wasReached ? .degraded(text) : .absent(text)
  }

  mutating func succeeded() -> NoticeReport? {
    failures = 0
    wasReached = true
    guard isTold else { return nil }
    isTold = false
    return .recovered("\(name) answers again")
  }
}
