import POSIX
import Supervision

/// The core's timers over one timerfd.
final class Timers {
  enum Name: Hashable {
    case core(TimerKind)
    /// Check again whether all processes of the tree are gone.
    case clearing
    /// Notify the service manager.
    case beat
    /// Update the metrics.
    case metrics
    /// Check whether the trainer makes steps.
    case stall
    /// Report how much of the resume point was read.
    case reading
    /// Check whether the run directory is in place.
    case runDirectory
    /// Record what the trainer has started.
    case census
    /// Look for checkpoints that the trainer wrote itself.
    case adoption
    /// The exit does not wait for the remote storage any longer.
    case replication
  }

  private let timer: DeadlineTimer
  /// Called if setting the timer fails, which is unexpected.
  var failed: (POSIXError) -> Void = { _ in }
  private var deadlines: [Name: Duration] = [:]

  init() throws(POSIXError) { timer = try DeadlineTimer() }

  var descriptor: CInt { timer.descriptor }

  func arm(_ name: Name, at deadline: Duration) {
    deadlines[name] = deadline
    set()
  }

  func disarm(_ name: Name) {
    if deadlines.removeValue(forKey: name) != nil { set() }
  }

  /// When the timer fires; nil: it is not armed.
  func deadline(_ name: Name) -> Duration? { deadlines[name] }

  /// Removes and returns the timers that are due, earliest first.
  func removeDue(now: Duration) -> [Name] {
    timer.acknowledge()
    let due = deadlines.filter { $0.value <= now }.sorted { $0.value < $1.value }.map(\.key)
    for name in due { deadlines[name] = nil }
    set()
    return due
  }

  private func set() {
    do {
      try timer.set(deadlines.values.min())
    } catch {
      failed(error)
    }
  }
}
