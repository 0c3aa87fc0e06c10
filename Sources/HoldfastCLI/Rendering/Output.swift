import Glibc

/// Where text goes, and what it may contain there.
struct Output {
  /// Escape codes: only on a terminal that wants them.
  let hasColor: Bool
  /// Beyond ASCII: only where the locale says UTF-8.
  let hasUnicode: Bool
  let isTerminal: Bool
  /// Whether lines can be written over again.
  let canRedraw: Bool

  static var standard: Output {
    let isTerminal = isatty(STDOUT_FILENO) == 1
    let wantsColor = getenv("NO_COLOR").map { $0.pointee == 0 } ?? true
    let isDumb = getenv("TERM").map { String(cString: $0) == "dumb" } ?? true
    return Output(
      hasColor: isTerminal && wantsColor && !isDumb, hasUnicode: localeIsUTF8, isTerminal: isTerminal,
      canRedraw: isTerminal && !isDumb)
  }

  private static var localeIsUTF8: Bool {
    for name in ["LC_ALL", "LC_CTYPE", "LANG"] {
      guard let value = getenv(name), value.pointee != 0 else { continue }
      let text = String(cString: value).lowercased()
      return text.contains("utf-8") || text.contains("utf8")
    }
    return false
  }

  enum Color: Int {
    case red = 31
    case green = 32
    case yellow = 33
    case bold = 1
    case faint = 2
  }

  func paint(_ text: String, _ color: Color) -> String {
    hasColor ? "\u{1b}[\(color.rawValue)m\(text)\u{1b}[0m" : text
  }

  var bullet: String { hasUnicode ? "●" : "*" }
  var warningSign: String { hasUnicode ? "▲" : "!" }

  /// The text for this output: without what its locale cannot show.
  func encode(_ text: String) -> String {
    hasUnicode ? text : String(text.unicodeScalars.map { $0.isASCII ? Character($0) : "?" })
  }

  func line(_ text: String) { Self.write(encode(text) + "\n", to: STDOUT_FILENO) }

  static func standardError(_ text: String) { write(text, to: STDERR_FILENO) }

  private static func write(_ text: String, to descriptor: CInt) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        // The reader has gone, as `head` does.
        exit(errno == EPIPE ? 0 : ExitStatus.io.rawValue)
      }
      rest = rest.dropFirst(count)
    }
  }
}
