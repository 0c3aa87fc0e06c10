import Glibc

/// A trainer's offer to write its stacks on a signal.
public struct StacksOffer: Hashable, Sendable {
  public let pid: Int32
  public let signal: Int32

  /// - Returns: nil without an offer, or for a signal with another meaning: only SIGUSR2 and the real-time signals are
  ///   free. SIGUSR1 is a request to a supervisor and may be sent to a process group.
  public init?(_ attached: Attached) {
    guard let number = attached.stacksSignal.flatMap({ Int32(exactly: $0) }), attached.pid > 1,
      number == SIGUSR2 || (Self.firstRealTime...Self.lastRealTime).contains(number)
    else { return nil }
    pid = attached.pid
    signal = number
  }

  // SIGRTMIN and SIGRTMAX are function calls in <signal.h>, as the C library reserves the kernel's 32 and 33.
  private static let firstRealTime = __libc_current_sigrtmin()
  private static let lastRealTime = __libc_current_sigrtmax()
}
