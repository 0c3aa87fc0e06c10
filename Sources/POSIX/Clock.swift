import CSpawn
import Glibc

/// The kernel's clocks, in nanoseconds.
public enum Clock {
  /// CLOCK_MONOTONIC: comparable between processes of one boot.
  public static var monotonicNanoseconds: UInt64 { hf_clock_nanoseconds(CLOCK_MONOTONIC) }
  /// CLOCK_BOOTTIME: as CLOCK_MONOTONIC, including suspended time.
  public static var bootNanoseconds: UInt64 { hf_clock_nanoseconds(CLOCK_BOOTTIME) }
  /// CLOCK_REALTIME since 1970; may jump.
  public static var wallNanoseconds: UInt64 { hf_clock_nanoseconds(CLOCK_REALTIME) }
}
