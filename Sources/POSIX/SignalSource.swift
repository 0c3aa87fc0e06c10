import CSpawn
import Glibc
import SystemPackage

/// signalfd(2): signals as readable events.
public final class SignalSource: Sendable {
  public let descriptor: CInt

  /// Blocks only `signals` in the calling thread and receives them from then on. An inherited mask (of a thread
  /// pool, say) is dropped, as it could block systemd's SIGABRT. Threads inherit the mask: create this before any
  /// other thread.
  public init(_ signals: [CInt]) throws(POSIXError) {
    var set = sigset_t()
    sigemptyset(&set)
    for signal in signals { sigaddset(&set, signal) }
    let code = pthread_sigmask(SIG_SETMASK, &set, nil)
    if code != 0 { throw POSIXError("pthread_sigmask", errno: Errno(rawValue: code)) }
    descriptor = try posix("signalfd") {
      signalfd(-1, &set, CInt(SFD_NONBLOCK | SFD_CLOEXEC))
    }
  }

  /// For `isPending` only: detects `signals`, which must be blocked in every thread.
  public init(watching signals: [CInt]) throws(POSIXError) {
    var set = sigset_t()
    sigemptyset(&set)
    for signal in signals { sigaddset(&set, signal) }
    descriptor = try posix("signalfd") { signalfd(-1, &set, CInt(SFD_NONBLOCK | SFD_CLOEXEC)) }
  }

  deinit { close(descriptor) }

  /// Waits for a signal without consuming it.
  /// - Returns: false when another thread consumed it first.
  public func isPending() -> Bool {
    var arrival = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&arrival, 1, -1) > 0
  }

  /// The next pending signal, if any.
  public func next() -> CInt? {
    var info = signalfd_siginfo()
    guard read(descriptor, &info, MemoryLayout<signalfd_siginfo>.size) > 0 else { return nil }
    return CInt(info.ssi_signo)
  }
}
