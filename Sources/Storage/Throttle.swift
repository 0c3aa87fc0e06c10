import Glibc
import POSIX
import Synchronization

/// Limits the bandwidth that all transfers of a storage use together.
final class Throttle: Sendable {
  /// Nil: no limit.
  private let bytesPerSecond: Double?
  /// Monotonic time at which the bytes so far were due.
  private let free = Mutex<Duration>(.zero)

  init(bytesPerSecond: UInt64?) { self.bytesPerSecond = bytesPerSecond.map { Double(max(1, $0)) } }

  /// Largest chunk to transfer at once, so that a low limit does not look like a connection that stalls.
  func chunk(atMost bytes: Int) -> Int {
    bytesPerSecond.map { min(bytes, max(1024, Int(clamping: Int64(min($0, 1e15) / 10)))) } ?? bytes
  }

  /// Called before `bytes` are transferred. Waits until they are due.
  func wait(for bytes: Int, _ isCancelled: () -> Bool) throws(StorageError) {
    guard let bytesPerSecond else { return }
    let now = Duration.nanoseconds(Clock.monotonicNanoseconds)
    let due = free.withLock { free in
      let begin = max(free, now)
      free = begin + .seconds(Double(bytes) / bytesPerSecond)
      return begin
    }
    while true {
      let left = due - .nanoseconds(Clock.monotonicNanoseconds)
      if left <= .zero { return }
      if isCancelled() { throw .cancelled }
      usleep(UInt32(min(100_000, left / .microseconds(1)) + 1))
    }
  }
}
