import Glibc

/// Days of the local time zone.
public enum LocalDay {
  /// The day's number, counted from any day.
  /// - Parameter time: CLOCK_REALTIME, in nanoseconds.
  public static func number(ofNs time: UInt64) -> Int {
    var seconds = time_t(clamping: time / 1_000_000_000)
    var local = tm()
    guard localtime_r(&seconds, &local) != nil else { return Int(seconds) / 86400 }
    return (Int(seconds) + local.tm_gmtoff) / 86400
  }
}
