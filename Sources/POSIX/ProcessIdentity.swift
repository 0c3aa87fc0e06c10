import Glibc

/// Identifies a process uniquely within one boot.
public struct ProcessIdentity: Hashable, Sendable, Codable {
  public var pid: pid_t
  /// Clock ticks since boot.
  public var startTime: UInt64

  public init(pid: pid_t, startTime: UInt64) {
    self.pid = pid
    self.startTime = startTime
  }
}
