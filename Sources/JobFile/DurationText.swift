/// Durations as people type them: `90s`, `10min`, `1h30m`, `500ms`, `2d`.
enum DurationText {
  struct Mistake: Error, CustomStringConvertible {
    let description: String
  }

  private static let units: [String: Duration] = [
    "ns": .nanoseconds(1), "us": .microseconds(1), "ms": .milliseconds(1), "s": .seconds(1),
    "sec": .seconds(1), "m": .seconds(60), "min": .seconds(60), "h": .seconds(3600), "hr": .seconds(3600),
    "d": .seconds(86400), "w": .seconds(604_800),
  ]

  static func parse(_ text: String) throws(Mistake) -> Duration {
    var rest = Substring(text)
    var total = Duration.zero
    guard !rest.isEmpty else { throw Mistake(description: "it is empty; write 90s, 10min or 1h30m") }
    while !rest.isEmpty {
      let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
      rest = rest.dropFirst(digits.count)
      let unit = rest.prefix { $0.isASCII && $0.isLetter }
      rest = rest.dropFirst(unit.count)
      if rest.first == " " { rest = rest.dropFirst() }
      guard let value = Double(digits), value < 1e9 else {
        throw Mistake(description: "'\(text)' is no duration; write 90s, 10min or 1h30m")
      }
      if unit.isEmpty { throw Mistake(description: "'\(text)' has no unit; write \(text)s or \(text)min") }
      guard let factor = units[String(unit)] else {
        throw Mistake(description: "'\(unit)' is no unit of time; there are ms, s, min, h and d")
      }
      total += factor * value
    }
    return total
  }
}
