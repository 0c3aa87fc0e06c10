/// Parses the metadata servers' dates to time since 1970.
public enum InternetDate {
  /// RFC 3339: `2017-09-18T08:22:00Z`, optionally with a fraction or an offset.
  public static func rfc3339(_ text: String) -> Duration? {
    var scanner = Scanner(text)
    guard let year = scanner.number(4), scanner.skip("-"), let month = scanner.number(2), scanner.skip("-"),
      let day = scanner.number(2), scanner.skip("T") || scanner.skip("t") || scanner.skip(" "),
      let time = scanner.time()
    else { return nil }
    var fraction = Duration.zero
    if scanner.skip(".") {
      var unit = Duration.milliseconds(100)
      guard let first = scanner.number(1) else { return nil }
      fraction = unit * first
      while let digit = scanner.number(1) {
        unit /= 10
        fraction += unit * digit
      }
    }
    var offset = 0
    if !scanner.skip("Z"), !scanner.skip("z") {
      let isNegative = scanner.skip("-")
      guard isNegative || scanner.skip("+"), let hours = scanner.number(2), scanner.skip(":"),
        let minutes = scanner.number(2), hours < 24, minutes < 60
      else { return nil }
      offset = (hours * 60 + minutes) * (isNegative ? -60 : 60)
    }
    guard scanner.isAtEnd, let days = days(year, month, day) else { return nil }
    return .seconds(days * 86_400 + time - offset) + fraction
  }

  private static let months = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
  ]
  private static let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]

  /// RFC 1123 as HTTP uses it: `Mon, 19 Sep 2016 18:29:47 GMT`.
  public static func http(_ text: String) -> Duration? {
    var scanner = Scanner(text)
    guard let weekday = weekdays.firstIndex(where: { scanner.skip($0) }), scanner.skip(", "),
      let day = scanner.number(2), scanner.skip(" "),
      let month = months.firstIndex(where: { scanner.skip($0) }), scanner.skip(" "),
      let year = scanner.number(4), scanner.skip(" "), let time = scanner.time(),
      scanner.skip(" GMT") || scanner.skip(" UTC"), scanner.isAtEnd,
      let days = days(year, month + 1, day)
    else { return nil }
    // 1970 began on a Thursday. A date with a wrong weekday is invalid.
    guard ((days + 4) % 7 + 7) % 7 == weekday else { return nil }
    return .seconds(days * 86_400 + time)
  }

  /// Days since 1970-01-01 in the Gregorian calendar; nil if the day does not exist.
  static func days(_ year: Int, _ month: Int, _ day: Int) -> Int? {
    guard (1...12).contains(month), day >= 1 else { return nil }
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    guard day <= lengths[month - 1] else { return nil }
    let before = year - 1
    // The formula does not apply to year 0.
    guard before >= 0 else { return nil }
    let toYear = before * 365 + before / 4 - before / 100 + before / 400
    return toYear + lengths[..<(month - 1)].reduce(0, +) + day - 1 - 719_162
  }

  private struct Scanner {
    private var rest: Substring.UTF8View

    init(_ text: String) { rest = Substring(text).utf8 }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func skip(_ text: String) -> Bool {
      guard rest.starts(with: text.utf8) else { return false }
      rest = rest.dropFirst(text.utf8.count)
      return true
    }

    /// Exactly `digits` digits.
    mutating func number(_ digits: Int) -> Int? {
      let taken = rest.prefix(digits)
      guard taken.count == digits, taken.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return nil }
      rest = rest.dropFirst(digits)
      return taken.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }

    /// `hh:mm:ss` in seconds; a leap second counts as the next.
    mutating func time() -> Int? {
      guard let hours = number(2), skip(":"), let minutes = number(2), skip(":"), let seconds = number(2),
        hours < 24, minutes < 60, seconds <= 60
      else { return nil }
      return (hours * 60 + minutes) * 60 + seconds
    }
  }
}
