/// Detects that a trainer makes no step for much longer than usual. This is only reported, as the trainer may continue;
/// `HangPolicy` decides when it is ended.
public struct StallWatch: Hashable, Sendable {
  public enum Report: Hashable, Sendable {
    /// - Parameters:
    ///   - threshold: the trainer made no step for longer than this.
    ///   - usual: time of a step.
    case began(threshold: Duration, usual: Duration)
    /// - Parameter after: time without a step; nil: the attempt made none any more.
    case ended(after: Duration?)
  }

  /// This many times the usual time of a step…
  static let factor = 20.0
  /// …and of a pause that has happened before, such as a validation…
  static let pauseFactor = 2.0
  /// …and never less than this.
  public static let shortest = Duration.seconds(10)

  private struct Sign: Hashable {
    var attempt: UInt64
    var at: Duration
  }

  /// After a longer time without a look, the watch itself stood still, and steps of that time may not be known yet.
  static let longestGap = Duration.seconds(5)

  /// The last sign of life.
  private var last: Sign?
  /// When it looked last.
  private var lookedAt: Duration?
  /// The two longest pauses, the longest first. The second is the limit of what is usual: a pause that happened once
  /// may have been a stall.
  private var pauses: [Duration] = []
  private var isStalled = false

  public init() {}

  /// Call it about once a second.
  public mutating func check(_ state: State, now: Duration) -> Report? {
    let gap = lookedAt.map { now - $0 }
    lookedAt = now
    guard state.phase == .running, let attempt = state.attempt, attempt.progress != nil,
      attempt.finishedStep == nil, let usual = state.pace.step
    else {
      last = nil
      return end(after: nil)
    }
    let sign = Sign(attempt: state.standing.attempt, at: attempt.aliveAt)
    let before = last
    last = sign
    if let before, before != sign {
      let isSameAttempt = before.attempt == sign.attempt
      let pause = sign.at - before.at
      if isSameAttempt { pauses = Array((pauses + [pause]).sorted(by: >).prefix(2)) }
      if let report = end(after: isSameAttempt ? pause : nil) { return report }
    }
    let threshold = max(
      Self.shortest, usual * Self.factor, (pauses.count == 2 ? pauses[1] : .zero) * Self.pauseFactor)
    guard !isStalled, now - sign.at > threshold, let gap, gap <= Self.longestGap else { return nil }
    isStalled = true
    return .began(threshold: threshold, usual: usual)
  }

  private mutating func end(after pause: Duration?) -> Report? {
    guard isStalled else { return nil }
    isStalled = false
    return .ended(after: pause)
  }
}
