import LMDB
import POSIX

/// The time in which the store cannot be written: what waits for it beside the submissions, and when writing is
/// tried again.
struct Degradation {
  var backlog: Backlog
  /// Events and attempts that were given up.
  var droppedRecords: UInt64 = 0
  /// Whether nothing helps but to open the store again.
  private(set) var mustReopen: Bool
  private var pause: Duration = .milliseconds(500)
  private var nextTryAt: UInt64 = 0
  private static let longestPause: Duration = .seconds(8)

  init(_ error: any Error, _ limits: StoreLimits) {
    backlog = Backlog(limits)
    mustReopen = Self.mustReopen(error)
  }

  private static func mustReopen(_ error: any Error) -> Bool {
    guard let error = error as? LMDBError else { return false }
    return error.isPanic || error.isDisturbed || error.isDamage
  }

  var isTryDue: Bool { Clock.monotonicNanoseconds >= nextTryAt }

  mutating func tryNow() { nextTryAt = 0 }

  mutating func wasReopened() { mustReopen = false }

  mutating func failed(_ error: any Error) {
    if Self.mustReopen(error) { mustReopen = true }
    nextTryAt = Clock.monotonicNanoseconds + UInt64(pause / .nanoseconds(1))
    pause = min(pause * 2, Self.longestPause)
  }
}
