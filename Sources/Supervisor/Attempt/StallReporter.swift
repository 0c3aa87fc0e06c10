import JobStore
import POSIX
import Reporting
import Supervision

/// Reports a trainer without steps as degraded.
final class StallReporter {
  private static let interval = Duration.seconds(1)

  private static let recorderTimeout = Duration.seconds(5)

  private let core: Core
  private let writer: StoreWriter
  private let degradations: Degradations
  private let timers: Timers
  private var watch = StallWatch()

  init(_ core: Core, _ writer: StoreWriter, _ degradations: Degradations, _ timers: Timers) {
    self.core = core
    self.writer = writer
    self.degradations = degradations
    self.timers = timers
  }

  func check() {
    let now = Moment.now.monotonic
    timers.arm(.stall, at: now + Self.interval)
    // While the disk hangs, steps are not read from the ring: nothing is known about the trainer.
    guard
      Self.recorderTimeout > .nanoseconds(Clock.monotonicNanoseconds)
        - .nanoseconds(writer.lastTurnNanoseconds)
    else { return }
    switch watch.check(core.state, now: now) {
    case nil: break
    case .began(let threshold, let usual):
      degradations.begin(
        LiveRecord.Degradation.stall,
        "no step for more than \(Words.duration(threshold)) (usually \(Words.duration(usual)))")
    case .ended(let pause?):
      degradations.end(
        LiveRecord.Degradation.stall, "the trainer makes steps again, after \(Words.duration(pause))")
    case .ended(nil): degradations.set(LiveRecord.Degradation.stall, nil)
    }
  }
}
