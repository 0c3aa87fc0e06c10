import POSIX
import Synchronization

/// Runs work on several threads.
enum Workers {
  /// Shared by the threads.
  private final class Queue<Item: Sendable>: Sendable {
    let rest: Mutex<[Item]>
    let failure = Mutex<StorageError?>(nil)
    let ended = Gate()

    init(_ items: [Item]) { rest = Mutex(items.reversed()) }

    var hasFailed: Bool { failure.withLock { $0 != nil } }

    func work(_ body: (Item, @escaping () -> Bool) throws(StorageError) -> Void) {
      while !hasFailed, let item = rest.withLock({ $0.popLast() }) {
        do throws(StorageError) {
          try body(item) { self.hasFailed }
        } catch {
          failure.withLock { $0 = $0 ?? error }
        }
      }
    }
  }

  /// Calls `body` for each item, the first ones first. It gets a function that returns whether another call has
  /// failed, so that it should end.
  /// - Parameter count: number of threads.
  /// - Throws: the first error, after all calls have ended.
  static func forEach<Item: Sendable>(
    _ items: [Item], threads count: Int,
    _ body: @escaping @Sendable (Item, @escaping () -> Bool) throws(StorageError) -> Void
  ) throws(StorageError) {
    let queue = Queue(items)
    var started = 0
    while started + 1 < min(count, items.count) {
      // If no thread can be started, there are fewer.
      guard
        (try? NativeThread.start(niceness: 0) {
          queue.work(body)
          queue.ended.open()
        }) != nil
      else { break }
      started += 1
    }
    queue.work(body)
    for _ in 0..<started { queue.ended.wait() }
    if let failure = queue.failure.withLock({ $0 }) { throw failure }
  }
}
