import POSIX
import Supervision

/// The core's timers over one timerfd.
final class Timers {
  enum Name: Hashable {
    case core(TimerKind)
    /// Look again whether the tree is gone.
    case clearing
    /// Tell the service manager how it is.
    case beat
    /// Gather what metrics say.
    case metrics
    /// Tell how much of the resume point was read.
    case reading
    /// Look whether the run directory is in its place.
    case runDirectory
    /// Write down what the trainer has started.
    case census
  }

  private let timer: DeadlineTimer
  /// Called when the kernel refuses a timer, which it cannot refuse a correct program.
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

  /// When it fires, nil: not.
  func deadline(_ name: Name) -> Duration? { deadlines[name] }

  /// Names whose time has come, the earliest first; each fires once.
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
