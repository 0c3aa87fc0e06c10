/// How recent a job's newest step is, and how fast it makes steps, as seen from now. In seconds.
struct StepPace {
  /// Steps are committed once a second; a busy machine needs longer.
  private static let commitDelay = 3.0
  /// A step that takes this many times the usual time is shown.
  private static let factor = 5.0
  /// For an attempt with a single step, whose usual time is not known.
  private static let unknownStep = 60.0

  struct Step {
    var number: UInt64
    var attempt: UInt64
    /// The trainer's CLOCK_REALTIME when it was made.
    var timeNs: UInt64
  }

  /// Since the newest step.
  var age: Double?
  /// The median between the newest steps of the attempt.
  var usual: Double?
  /// Up to now: a pause that lasts until now lowers it.
  var stepsPerSecond: Double?
  /// Up to the newest step.
  var stepsPerSecondWithoutPause: Double?
  /// How long the running attempt has made no step, if that is unusually long.
  var silence: Double?

  /// - Parameters:
  ///   - recent: the newest steps, oldest first.
  ///   - runningSince: when the running attempt began, if `recent` ends with a step of it; nil: no step is expected.
  init(_ recent: [Step], runningSince: UInt64?, nowNs: UInt64) {
    guard let last = recent.last else { return }
    // Times are the trainer's, and may be wrong.
    let madeAt = min(nowNs, max(last.timeNs, runningSince ?? 0))
    let age = Double(nowNs - madeAt) / 1e9
    self.age = age
    // Pauses between attempts do not count.
    let current = recent.filter { $0.attempt == last.attempt }
    let times = zip(current, current.dropFirst()).compactMap { before, after in
      after.timeNs >= before.timeNs && after.number > before.number
        ? Double(after.timeNs - before.timeNs) / 1e9 / Double(after.number - before.number) : nil
    }.sorted()
    if !times.isEmpty { usual = times[times.count / 2] }
    let limit = max(Self.commitDelay, usual.map { $0 * Self.factor } ?? Self.unknownStep)
    if runningSince != nil, age > limit { silence = age }
    guard let first = current.first, last.timeNs > first.timeNs, last.number > first.number else { return }
    let pause = runningSince == nil ? 0 : max(0, age - max(Self.commitDelay, usual ?? 0))
    let (count, time) = (Double(last.number - first.number), Double(last.timeNs - first.timeNs) / 1e9)
    stepsPerSecond = count / (time + pause)
    stepsPerSecondWithoutPause = count / time
  }
}
