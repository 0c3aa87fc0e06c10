/// Durations with units: `90s`, `10min`, `1h30m`, `500ms`, `2d`.
public enum DurationText {
  public struct Mistake: Error, CustomStringConvertible {
    public let description: String
  }

  /// Anything longer is a typing error and near the range of a timer.
  static let longest = Duration.seconds(86400) * 3653

  private static let units: [String: Duration] = [
    "ns": .nanoseconds(1), "us": .microseconds(1), "ms": .milliseconds(1), "s": .seconds(1),
    "sec": .seconds(1), "m": .seconds(60), "min": .seconds(60), "h": .seconds(3600), "hr": .seconds(3600),
    "d": .seconds(86400), "w": .seconds(604_800),
  ]

  public static func parse(_ text: String) throws(Mistake) -> Duration {
    var rest = Substring(text)
    var total = Duration.zero
    guard !rest.isEmpty else { throw Mistake(description: "must not be empty; write 90s, 10min or 1h30m") }
    while !rest.isEmpty {
      let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
      rest = rest.dropFirst(digits.count)
      if rest.first == " ", !digits.isEmpty { rest = rest.dropFirst() }
      let unit = rest.prefix { $0.isASCII && $0.isLetter }
      rest = rest.dropFirst(unit.count)
      if rest.first == " " { rest = rest.dropFirst() }
      guard let value = Double(digits), value < 1e9 else {
        throw Mistake(description: "invalid duration '\(text)'; write 90s, 10min or 1h30m")
      }
      if unit.isEmpty { throw Mistake(description: "'\(text)' has no unit; write \(text)s or \(text)min") }
      guard let factor = units[String(unit)] else {
        throw Mistake(description: "unknown unit '\(unit)'; use ms, s, min, h or d")
      }
      total += factor * value
      // Checked here, as the sum of many terms could overflow.
      guard total <= longest else { throw Mistake(description: "'\(text)' is longer than ten years") }
    }
    return total
  }

  /// The shortest text that `parse` accepts for `duration`: `10min`, `1h30min`, `500ms`.
  public static func text(_ duration: Duration) -> String {
    let units: [(String, Int64)] = [
      ("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("min", 60_000_000_000), ("s", 1_000_000_000),
      ("ms", 1_000_000), ("us", 1000), ("ns", 1),
    ]
    let (seconds, attoseconds) = duration.components
    var rest = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    guard rest > 0 else { return "0s" }
    var text = ""
    for (name, size) in units where rest >= size {
      text += "\(rest / size)\(name)"
      rest %= size
    }
    return text
  }
}
