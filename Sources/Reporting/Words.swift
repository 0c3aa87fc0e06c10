import Glibc

/// Formats numbers, times, sizes and signals for users.
public enum Words {
  /// `48,700`
  public static func number(_ value: UInt64) -> String {
    var groups: [String] = []
    var rest = value
    repeat {
      let group = String(rest % 1000)
      rest /= 1000
      groups.append(rest > 0 ? String(repeating: "0", count: 3 - group.count) + group : group)
    } while rest > 0
    return groups.reversed().joined(separator: ",")
  }

  public static func count(_ value: UInt64, _ noun: String) -> String {
    "\(number(value)) \(noun)\(value == 1 ? "" : "s")"
  }

  /// `pid 4711`, `pids 4711 and 4712`
  public static func pids(_ pids: [pid_t]) -> String {
    let texts = pids.map { "\($0)" }
    guard let last = texts.last, texts.count > 1 else { return "pid \(texts.first ?? "?")" }
    return "pids \(texts.dropLast().joined(separator: ", ")) and \(last)"
  }

  /// At most two units: `12 s`, `3 min 20 s`, `2 h 47 min`, `3 d 4 h`.
  public static func duration(seconds: Double) -> String {
    guard seconds.isFinite, seconds >= 0 else { return "unknown" }
    if seconds > 100 * 365 * 86400 { return "more than 100 years" }
    if seconds < 0.0995 { return "\(Int((seconds * 1000).rounded())) ms" }
    if seconds < 9.95 { return "\(fixed(seconds, 1)) s" }
    let whole = Int(seconds.rounded())
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return pair(whole / 60, "min", whole % 60, "s") }
    if whole < 86400 { return pair(whole / 3600, "h", whole % 3600 / 60, "min") }
    return pair(whole / 86400, "d", whole % 86400 / 3600, "h")
  }

  private static func pair(_ large: Int, _ unit: String, _ small: Int, _ smallUnit: String) -> String {
    small == 0 ? "\(large) \(unit)" : "\(large) \(unit) \(small) \(smallUnit)"
  }

  /// `512 MiB`
  public static func bytes(_ value: UInt64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"]
    var amount = Double(value)
    var unit = 0
    while amount >= 1024, unit < units.count - 1 {
      amount /= 1024
      unit += 1
    }
    return "\(unit == 0 || amount >= 100 ? fixed(amount, 0) : fixed(amount, 1)) \(units[unit])"
  }

  public static func fixed(_ value: Double, _ decimals: Int) -> String {
    var scale = 1.0
    for _ in 0..<decimals { scale *= 10 }
    let scaled = (value * scale).rounded()
    guard scaled.isFinite, abs(scaled) < 1e15 else { return "\(value)" }
    let digits = String(Int(abs(scaled)))
    let padded = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
    let sign = scaled < 0 ? "-" : ""
    if decimals == 0 { return sign + padded }
    return sign + padded.dropLast(decimals) + "." + padded.suffix(decimals)
  }

  /// A metric's value in four significant digits.
  public static func metric(_ value: Double) -> String {
    guard value.isFinite else { return "\(value)" }
    let size = abs(value)
    if size != 0, size < 1e-3 || size >= 1e6 {
      let exponent = Int(log10(size).rounded(.down))
      return "\(fixed(value / pow(10, Double(exponent)), 3))e\(exponent)"
    }
    return fixed(value, size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : size >= 1 ? 3 : 4)
  }

  /// `54.2 %`
  public static func percent(_ share: Double) -> String { "\(fixed(share * 100, 1)) %" }

  public static func duration(_ value: Duration) -> String { duration(seconds: value / .seconds(1)) }

  public static func signal(_ number: Int32) -> String {
    switch number {
    case SIGKILL: "SIGKILL"
    case SIGTERM: "SIGTERM"
    case SIGINT: "SIGINT"
    case SIGSEGV: "SIGSEGV"
    case SIGABRT: "SIGABRT"
    case SIGBUS: "SIGBUS"
    case SIGILL: "SIGILL"
    case SIGFPE: "SIGFPE"
    case SIGHUP: "SIGHUP"
    case SIGTRAP: "SIGTRAP"
    case SIGPIPE: "SIGPIPE"
    default: "signal \(number)"
    }
  }
}
