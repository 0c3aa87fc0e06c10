import Glibc

/// A process, by a name that is never given to another one under the same kernel.
public struct ProcessIdentity: Hashable, Sendable, Codable {
  public var pid: pid_t
  /// Clock ticks since boot at which it began.
  public var startTime: UInt64

  public init(pid: pid_t, startTime: UInt64) {
    self.pid = pid
    self.startTime = startTime
  }
}
