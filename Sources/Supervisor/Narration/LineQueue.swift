import Glibc
import POSIX
import Synchronization

/// Performs short pieces of work in order on a separate thread, so that callers never wait.
final class LineQueue: Sendable {
  /// - Parameter dropped: number of pieces before this one that did not fit in the queue.
  typealias Work = @Sendable (_ dropped: UInt64) -> Void

  private struct State {
    var waiting: [(work: Work, dropped: UInt64)] = []
    var dropped: UInt64 = 0
    var isRunning = false
  }

  static let largestCount = 1000

  private let state = Mutex(State())

  func append(_ work: @escaping Work) {
    let starts = state.withLock { state in
      guard state.waiting.count < Self.largestCount else {
        state.dropped += 1
        return false
      }
      state.waiting.append((work, state.dropped))
      state.dropped = 0
      defer { state.isRunning = true }
      return !state.isRunning
    }
    guard starts else { return }
    do {
      try NativeThread.start { [self] in run() }
    } catch {
      // Without a thread the work delays the caller rather than being lost.
      run()
    }
  }

  /// Ends when the queue is empty; the next piece of work starts another thread.
  private func run() {
    while true {
      let next = state.withLock { state -> (work: Work, dropped: UInt64)? in
        guard let first = state.waiting.first else {
          state.isRunning = false
          return nil
        }
        return first
      }
      guard let next else { return }
      next.work(next.dropped)
      // Removed only now: `flush` must also wait for this piece.
      state.withLock { _ = $0.waiting.removeFirst() }
    }
  }

  func flush(timeout: Duration) {
    let end = Duration.nanoseconds(Clock.monotonicNanoseconds) + timeout
    while state.withLock({ !$0.waiting.isEmpty }), .nanoseconds(Clock.monotonicNanoseconds) < end {
      usleep(1000)
    }
  }
}
