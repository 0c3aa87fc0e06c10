import Glibc

/// The kernel's clocks, in nanoseconds.
public enum Clock {
  /// CLOCK_MONOTONIC: comparable between processes of one boot.
  public static var monotonicNanoseconds: UInt64 { read(CLOCK_MONOTONIC) }
  /// CLOCK_BOOTTIME: as monotonic, and counts suspended time.
  public static var bootNanoseconds: UInt64 { read(CLOCK_BOOTTIME) }
  /// CLOCK_REALTIME since 1970; may jump.
  public static var wallNanoseconds: UInt64 { read(CLOCK_REALTIME) }

  @inline(__always)
  private static func read(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
  }
}
