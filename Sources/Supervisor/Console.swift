import Glibc

/// The supervisor's own few lines, on stderr. Standard output belongs to the trainer.
enum Console {
  static func line(_ text: String) { write("holdfast: \(text)\n") }
  static func warning(_ text: String) { write("holdfast: warning: \(text)\n") }

  /// One write(2) a line, so that lines of trainer and supervisor do not mix.
  private static func write(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
      // Nowhere is left to say that stderr is closed.
      _ = Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count)
    }
  }
}

/// Numbers and times for people.
enum Words {
  /// `48,700`
  static func number(_ value: UInt64) -> String {
    let digits = String(value)
    var grouped = ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0 { grouped.append(",") }
      grouped.append(digit)
    }
    return grouped
  }

  /// `1 step`, `48,700 steps`
  static func count(_ value: UInt64, _ noun: String) -> String {
    "\(number(value)) \(noun)\(value == 1 ? "" : "s")"
  }

  /// `1.9 s`, `3 min 20 s`, `2 h 5 min`
  static func duration(_ value: Duration) -> String {
    let seconds = value / .seconds(1)
    if seconds < 1 { return "\(Int((seconds * 1000).rounded())) ms" }
    if seconds < 10 { return "\((seconds * 10).rounded() / 10) s" }
    let whole = Int(seconds.rounded())
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return pair(whole / 60, "min", whole % 60, "s") }
    if whole < 86400 { return pair(whole / 3600, "h", whole % 3600 / 60, "min") }
    return pair(whole / 86400, "d", whole % 86400 / 3600, "h")
  }

  private static func pair(_ large: Int, _ unit: String, _ small: Int, _ smallUnit: String) -> String {
    small == 0 ? "\(large) \(unit)" : "\(large) \(unit) \(small) \(smallUnit)"
  }

  /// `512.0 MiB`
  static func bytes(_ value: Int) -> String {
    var amount = Double(value)
    var unit = "B"
    for next in ["KiB", "MiB", "GiB", "TiB"] where amount >= 1024 {
      amount /= 1024
      unit = next
    }
    return unit == "B" ? "\(value) B" : "\((amount * 10).rounded() / 10) \(unit)"
  }

  static func signal(_ number: Int32) -> String {
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
