import Glibc

/// RFC 3339 in UTC, to the millisecond.
public enum Timestamp {
  /// - Parameter nanoseconds: since 1970.
  public static func text(_ nanoseconds: UInt64) -> String {
    var seconds = time_t(nanoseconds / 1_000_000_000)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    let milliseconds = nanoseconds / 1_000_000 % 1000
    return pad(Int(parts.tm_year) + 1900, 4) + "-" + pad(Int(parts.tm_mon) + 1, 2) + "-"
      + pad(Int(parts.tm_mday), 2) + "T" + pad(Int(parts.tm_hour), 2) + ":" + pad(Int(parts.tm_min), 2) + ":"
      + pad(Int(parts.tm_sec), 2) + "." + pad(Int(milliseconds), 3) + "Z"
  }

  /// Parses the result of `text`.
  /// - Returns: nanoseconds since 1970; nil for any other format and for earlier times.
  public static func nanoseconds(_ text: String) -> UInt64? {
    // `2026-01-01T00:00:00.000Z`
    let fields = text.split(whereSeparator: { "-T:.Z".contains($0) }).compactMap { UInt16($0) }
    guard text.utf8.count == 24, fields.count == 7, text.utf8.last == UInt8(ascii: "Z") else { return nil }
    var parts = tm()
    parts.tm_year = CInt(fields[0]) - 1900
    parts.tm_mon = CInt(fields[1]) - 1
    parts.tm_mday = CInt(fields[2])
    parts.tm_hour = CInt(fields[3])
    parts.tm_min = CInt(fields[4])
    parts.tm_sec = CInt(fields[5])
    let milliseconds = UInt64(fields[6])
    let seconds = timegm(&parts)
    // The limit of 64 bits.
    guard seconds >= 0, seconds < 18_000_000_000 else { return nil }
    return UInt64(seconds) * 1_000_000_000 + milliseconds * 1_000_000
  }

  private static func pad(_ value: Int, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}
