import CSpawn
import Glibc
import SystemPackage

/// A thread of our own, outside of Swift's pool, for what must stay on one thread.
public enum NativeThread {
  /// Starts a thread that runs `body` and ends.
  /// - Parameter niceness: added to that of the process, for work that must not take the trainer's
  ///   processor.
  public static func start(niceness: Int32 = 0, _ body: @escaping @Sendable () -> Void) throws(POSIXError) {
    let box = Unmanaged.passRetained(Box(body: body, niceness: niceness))
    var thread = pthread_t()
    let code = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        let box = Unmanaged<Box>.fromOpaque(argument).takeRetainedValue()
        // Linux keeps the priority of each thread apart, whatever POSIX says; 0 means this one.
        if box.niceness != 0 { setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, box.niceness) }
        box.body()
        return nil
      }, box.toOpaque())
    guard code == 0 else {
      box.release()
      throw POSIXError("pthread_create", errno: .init(rawValue: code))
    }
    pthread_detach(thread)
  }

  private final class Box {
    let body: @Sendable () -> Void
    let niceness: Int32

    init(body: @escaping @Sendable () -> Void, niceness: Int32) {
      self.body = body
      self.niceness = niceness
    }
  }
}

/// Lets one thread wait for another.
public final class Gate: @unchecked Sendable {
  private var semaphore = sem_t()

  public init() { sem_init(&semaphore, 0, 0) }

  deinit { sem_destroy(&semaphore) }

  public func open() { sem_post(&semaphore) }

  public func wait() {
    while sem_wait(&semaphore) != 0, errno == EINTR {}
  }

  /// - Parameter patience: nil: without end.
  /// - Returns: whether it was opened by then.
  @discardableResult
  public func wait(patience: Duration?) -> Bool {
    guard let patience else {
      wait()
      return true
    }
    let nanoseconds = UInt64(min(max(.zero, patience) / .nanoseconds(1), 1e18))
    return hf_semaphore_wait(&semaphore, Clock.monotonicNanoseconds + nanoseconds) == 0
  }
}
