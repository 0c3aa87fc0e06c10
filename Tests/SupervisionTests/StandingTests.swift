import Testing
import Vocabulary

@testable import Supervision

/// What is read back of an earlier supervisor may be anything: the core counts on from it all the same.
@Suite struct StandingTests {
  private static let integers: [Int] = [.min, -1, 0, 1, .max]
  private static let seconds: [Double] = [
    -1e308, -1, 0, 1, 1.7e9, 1e12, 1e308, .infinity, -.infinity, .nan, .leastNonzeroMagnitude,
  ]

  private static func standing(_ attempt: UInt64, _ count: Int, _ seconds: Double) -> Standing {
    var standing = Standing()
    standing.attempt = attempt
    standing.stalls = count
    standing.deathTally = .init(batch: BatchPosition(epoch: .max, batch: .max), step: .max, count: count)
    standing.failureTally = .init(
      place: FailurePlace(type: "E", message: "", traceback: nil), count: count, furthest: .max)
    standing.lastDurableWallSeconds = seconds
    standing.undurableSeconds = seconds
    standing.publishingSeconds = seconds
    return standing
  }

  @Test func implausibleNumbersDoNotTrap() {
    let now = Moment(monotonic: .seconds(100), wall: .seconds(1_700_000_000))
    for attempt in [0, 1, Standing.largestAttempt, Standing.largestAttempt + 1, UInt64.max] {
      for count in Self.integers {
        for seconds in Self.seconds {
          var state = State(
            policy: Policy(), standing: Self.standing(attempt, count, seconds).plausible, durableStep: .max,
            now: now)
          state.slots = [.complete(step: .max), .empty]
          let remains = Remains(
            resume: .checkpoint(level: .staged, step: .max),
            progress: Progress(
              step: .max, position: BatchPosition(epoch: .max, batch: .max), batchesPerEpoch: 0),
            slots: state.slots)
          for event in [
            .begin(remains), .started, .attached(offersStacks: false),
            .stepped(Progress(step: .max, position: BatchPosition(epoch: .max, batch: .max))),
            .stopRequested, .exited(.exited(1)), .cleared(remains),
          ] as [Event] {
            state = transition(state, event, at: now).0
          }
          #expect(state.phase == .settling || state.phase == .done)
          #expect(state.standing.attempt <= Standing.largestAttempt + 1)
        }
      }
    }
  }

  @Test func plausibleNumbersAreRetained() {
    let standing = Self.standing(7, 3, 1.5)
    #expect(standing.plausible == standing)
  }
}
