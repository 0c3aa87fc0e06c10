import LMDB
import POSIX
import SystemPackage

/// State while the store cannot be written: the backlog of rows, and the time of the next try.
struct Degradation {
  var backlog: Backlog
  /// Number of dropped events and attempts.
  var droppedRecords: UInt64 = 0
  /// Whether the store must be reopened.
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

  static func reason(_ error: any Error, _ directory: FilePath) -> String {
    // LMDB reports a short write to a full disk as EIO, so check the free space.
    let free = (try? FileSystem.availableBytes(directory)) ?? .max
    if free < 1 << 20 { return "the disk of \(directory) is full" }
    return "\(error)"
  }
}
