import Glibc

/// Times of day for people, in the local time zone.
enum LocalTime {
  private static func local(_ nanoseconds: UInt64) -> tm {
    var seconds = time_t(nanoseconds / 1_000_000_000)
    var parts = tm()
    localtime_r(&seconds, &parts)
    return parts
  }

  private static func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }

  /// `14:02:45`, local time.
  static func clock(_ nanoseconds: UInt64) -> String {
    let parts = local(nanoseconds)
    return "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
  }

  /// `14:02:45` so many seconds after `nanoseconds`; with the date where that is another day.
  static func clock(_ nanoseconds: UInt64, after seconds: Double) -> String {
    let (time, overflow) = nanoseconds.addingReportingOverflow(UInt64(min(max(0, seconds), 1e9) * 1e9))
    guard !overflow else { return "never" }
    return seconds < 86_400 ? clock(time) : date(time)
  }

  /// `Nov 23 14:02`, local time.
  static func date(_ nanoseconds: UInt64) -> String {
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    let parts = local(nanoseconds)
    return "\(months[Int(parts.tm_mon)]) \(two(parts.tm_mday)) \(two(parts.tm_hour)):\(two(parts.tm_min))"
  }
}
