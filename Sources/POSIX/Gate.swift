import CSpawn
import Glibc

/// Lets one thread wait for another.
public final class Gate: @unchecked Sendable {
  private var semaphore = sem_t()

  public init() { sem_init(&semaphore, 0, 0) }

  deinit { sem_destroy(&semaphore) }

  public func open() { sem_post(&semaphore) }

  public func wait() {
    while sem_wait(&semaphore) != 0, errno == EINTR {}
  }

  /// - Parameter timeout: nil: infinite.
  /// - Returns: whether it was opened within the timeout.
  @discardableResult
  public func wait(timeout: Duration?) -> Bool {
    guard let timeout else {
      wait()
      return true
    }
    let nanoseconds = UInt64(min(max(.zero, timeout) / .nanoseconds(1), 1e18))
    return hf_semaphore_wait(&semaphore, Clock.monotonicNanoseconds + nanoseconds) == 0
  }
}
