import Glibc
import POSIX
import Reporting

/// Where text goes, and what it may contain there.
struct Output {
  var descriptor = STDOUT_FILENO
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

  func paint(_ text: String, _ color: Color) -> Line { Line(text, color) }

  var bullet: String { hasUnicode ? "●" : "*" }
  var warningSign: String { hasUnicode ? "▲" : "!" }

  // Everything that is printed goes through one of these.

  func line(_ line: Line) { Self.write(render(line) + "\n", to: descriptor) }
  func line(_ text: String) { line(Line(text)) }

  /// Of strings in a JSON document.
  var escaping: JSONText.Escaping { hasUnicode ? .hidden : .nonASCII }

  /// With the exact text of every string, in escapes where it is not to be seen or the locale cannot show it.
  func json(_ value: JSONValue) { Self.write(value.text(escaping: escaping) + "\n", to: descriptor) }

  /// Takes the place of what is on the screen.
  func redraw(_ lines: [String], columns: Int) {
    // Each line clears its own rest: a screen cleared first would flicker.
    let text = lines.map { String(visible($0).prefix(columns)) + "\u{1b}[K" }.joined(separator: "\r\n")
    Self.write("\u{1b}[H" + text + "\r\n\u{1b}[J", to: descriptor)
  }

  /// A part of a JSON document, without the end of the line.
  func json(part text: String) { Self.write(text, to: descriptor) }

  // An error whose text nobody can read keeps its exit status.

  static func standardError(_ lines: [String]) {
    _ = writeAll(lines.map { VisibleText.line($0) + "\n" }.joined(), to: STDERR_FILENO)
  }

  static func standardError(_ value: JSONValue) {
    _ = writeAll(value.text(escaping: .nonASCII) + "\n", to: STDERR_FILENO)
  }

  /// What comes of `line` here.
  func render(_ line: Line) -> String {
    line.spans.map { span in
      guard hasColor, let color = span.color else { return visible(span.text) }
      return "\u{1b}[\(color.rawValue)m\(visible(span.text))\u{1b}[0m"
    }.joined()
  }

  /// Without what a terminal would obey, and what the locale cannot show.
  private func visible(_ text: String) -> String {
    let text = VisibleText.line(text)
    return hasUnicode ? text : String(text.unicodeScalars.map { $0.isASCII ? Character($0) : "?" })
  }

  private static func write(_ text: String, to descriptor: CInt) {
    let error = writeAll(text, to: descriptor)
    // The reader has gone, as `head` does.
    if error != 0 { exit(error == EPIPE ? 0 : ExitStatus.io.rawValue) }
  }

  /// - Returns: 0, or why not all of it was written: errno(3).
  private static func writeAll(_ text: String, to descriptor: CInt) -> CInt {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        return errno
      }
      rest = rest.dropFirst(count)
    }
    return 0
  }
}
