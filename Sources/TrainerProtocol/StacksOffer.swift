import Glibc

/// That a trainer writes its stacks when it gets a signal.
public struct StacksOffer: Hashable, Sendable {
  public let pid: Int32
  public let signal: Int32

  /// - Returns: nil when nothing was offered, or a signal that means something else: only SIGUSR2 and the
  ///   real-time signals are nobody's. SIGUSR1 is a request to a supervisor, and may be sent to a group.
  public init?(_ attached: Attached) {
    guard let number = attached.stacksSignal.flatMap({ Int32(exactly: $0) }), attached.pid > 1,
      number == SIGUSR2 || (Self.firstRealTime...Self.lastRealTime).contains(number)
    else { return nil }
    pid = attached.pid
    signal = number
  }

  // <signal.h> has SIGRTMIN and SIGRTMAX as calls. The kernel's 32 and 33 are the C library's own.
  private static let firstRealTime = __libc_current_sigrtmin()
  private static let lastRealTime = __libc_current_sigrtmax()
}
