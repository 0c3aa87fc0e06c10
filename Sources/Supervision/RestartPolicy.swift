/// Decides what follows an attempt that did not finish: restart after progress, back off without it, give up after
/// too many attempts in a row without progress.
enum RestartPolicy {
  enum Verdict: Hashable {
    case restart
    case backOff(Duration)
    case giveUp
  }

  static let firstPause = Duration.seconds(1)
  static let longestPause = Duration.seconds(60)

  /// Updates `standing` at the end of an attempt.
  /// - Parameters:
  ///   - progressed: the resume point is further than the one it started from.
  ///   - repeats: many attempts in a row failed in the same way without a new step, so an advanced resume point is
  ///     not counted as progress.
  static func judge(
    _ standing: inout Standing, progressed: Bool, repeats: Bool = false, maxStalls: Int
  ) -> Verdict {
    if progressed, !repeats {
      standing.stalls = 0
      return .restart
    }
    standing.stalls += 1
    if standing.stalls >= maxStalls { return .giveUp }
    // One attempt without progress may be chance: no pause.
    if standing.stalls == 1, !repeats { return .restart }
    return .backOff(pause(&standing))
  }

  /// 1 s, 2 s, 4 s … 60 s, each with up to a quarter of jitter, so that many jobs that failed at once do not restart
  /// at once.
  private static func pause(_ standing: inout Standing) -> Duration {
    let doublings = min(max(0, standing.stalls - 2), 10)
    let pause = min(longestPause, firstPause * (1 << doublings))
    standing.jitter = nextJitter(standing.jitter)
    let share = Double(standing.jitter >> 11) / Double(1 << 53)
    return pause + pause * (share / 4)
  }

  /// SplitMix64 (Steele, Lea and Flood, 2014).
  private static func nextJitter(_ seed: UInt64) -> UInt64 {
    var value = seed &+ 0x9e37_79b9_7f4a_7c15
    value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
    return value ^ (value >> 31)
  }

  /// Counts failures in a row with the same exception at the same place, as long as no attempt makes a step beyond
  /// the furthest one. Such a program may still save a little more each time.
  /// - Parameters:
  ///   - failure: nil: the attempt ended without one, for example by a signal.
  ///   - furthest: the furthest step that the job ever recorded.
  /// - Returns: the tally once it is too long to be chance, else nil.
  static func tally(
    _ standing: inout Standing, failure: FailurePlace?, furthest: UInt64
  ) -> Standing.FailureTally? {
    guard let failure else {
      standing.failureTally = nil
      return nil
    }
    if var tally = standing.failureTally, tally.place == failure, furthest <= tally.furthest {
      tally.count += 1
      standing.failureTally = tally
      return tally.count >= Standing.FailureTally.longest ? tally : nil
    }
    standing.failureTally = .init(place: failure, count: 1, furthest: furthest)
    return nil
  }

  /// Counts deaths in the same batch, and skips that batch after `skipAfter` of them.
  static func tally(_ standing: inout Standing, progress: Progress?, skipAfter: Int?) -> [Note] {
    guard let progress else { return [] }
    let batch = progress.nextBatch
    if standing.deathTally?.batch == batch {
      standing.deathTally?.count += 1
    } else {
      standing.deathTally = .init(batch: batch, step: progress.step &+ 1, count: 1)
    }
    guard let tally = standing.deathTally else { return [] }
    var notes: [Note] = []
    if tally.count >= 2 { notes.append(.diesInBatch(batch, step: tally.step, times: tally.count)) }
    if let skipAfter, tally.count >= skipAfter, !standing.skips.contains(batch) {
      standing.skips.append(batch)
      standing.deathTally = nil
      notes.append(.skipping(batch, deaths: tally.count))
    }
    return notes
  }
}
