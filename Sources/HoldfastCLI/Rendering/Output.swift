import Glibc
import POSIX
import Reporting

/// An output stream and what may be written to it.
struct Output {
  var descriptor = STDOUT_FILENO
  /// Whether to write escape codes: only on terminals that support them and without NO_COLOR.
  let hasColor: Bool
  /// Whether to write non-ASCII characters: only in UTF-8 locales.
  let hasUnicode: Bool
  let isTerminal: Bool
  /// Whether lines can be overwritten.
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

  // All output goes through these functions.

  func line(_ line: Line) { Self.write(render(line) + "\n", to: descriptor) }
  func line(_ text: String) { line(Line(text)) }

  /// Prints many lines with one call of write(2).
  func lines(_ lines: [String]) { Self.write(lines.map { render(Line($0)) + "\n" }.joined(), to: descriptor) }

  /// Escaping of strings in JSON documents.
  var escaping: JSONText.Escaping { hasUnicode ? .hidden : .nonASCII }

  /// Strings keep their exact value; characters that are invisible or not in the locale are escaped.
  func json(_ value: JSONValue) { Self.write(value.text(escaping: escaping) + "\n", to: descriptor) }

  /// Replaces the contents of the screen.
  func redraw(_ lines: [String], columns: Int) {
    // Each line clears its rest, as clearing the screen first would flicker.
    let text = lines.map { String(visible($0).prefix(columns)) + "\u{1b}[K" }.joined(separator: "\r\n")
    Self.write("\u{1b}[H" + text + "\r\n\u{1b}[J", to: descriptor)
  }

  /// Prints a part of a JSON document without a line break.
  func json(part text: String) { Self.write(text, to: descriptor) }

  // A failed write of an error message must not change the exit status.

  static func standardError(_ lines: [String]) {
    _ = writeAll(lines.map { VisibleText.line($0) + "\n" }.joined(), to: STDERR_FILENO)
  }

  static func standardError(_ value: JSONValue) {
    _ = writeAll(value.text(escaping: .nonASCII) + "\n", to: STDERR_FILENO)
  }

  /// The bytes of `line` for this output.
  func render(_ line: Line) -> String {
    line.spans.map { span in
      guard hasColor, let color = span.color else { return visible(span.text) }
      return "\u{1b}[\(color.rawValue)m\(visible(span.text))\u{1b}[0m"
    }.joined()
  }

  /// Escapes control characters, and replaces characters that the locale does not have.
  private func visible(_ text: String) -> String {
    let text = VisibleText.line(text)
    return hasUnicode ? text : String(text.unicodeScalars.map { $0.isASCII ? Character($0) : "?" })
  }

  private static func write(_ text: String, to descriptor: CInt) {
    let error = writeAll(text, to: descriptor)
    // EPIPE: the reader closed the pipe, as `head` does.
    if error != 0 { exit(error == EPIPE ? 0 : ExitStatus.io.rawValue) }
  }

  /// - Returns: 0, or the errno(3) of the failed write.
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
