import CSpawn
import Glibc
import SystemPackage

/// A thread outside of Swift's pool, for work that must stay on one thread.
public enum NativeThread {
  /// Starts a detached thread that runs `body`.
  /// - Parameter niceness: added to that of the process, for work that must not compete with the trainer.
  public static func start(niceness: Int32 = 0, _ body: @escaping @Sendable () -> Void) throws(POSIXError) {
    let box = Unmanaged.passRetained(Box(body: body, niceness: niceness))
    var thread = pthread_t()
    let code = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        let box = Unmanaged<Box>.fromOpaque(argument).takeRetainedValue()
        // Unlike POSIX, Linux has a priority for each thread; 0 means this one.
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
