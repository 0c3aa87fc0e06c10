/// Makes external text (exceptions, names, command lines, messages of other programs) safe for terminals and
/// logs. Control characters, line breaks and characters that change the text direction become visible escapes
/// as in `ls -b`: `\n`, `\x1b`, `\u202e`.
///
/// Backslashes are kept, so that applying it twice has no further effect.
public enum VisibleText {
  /// Returns `text` on one line.
  public static func line(_ text: String) -> String {
    if text.utf8.allSatisfy({ (0x20..<0x7f).contains($0) }) { return text }
    var visible = ""
    for scalar in text.unicodeScalars {
      if isHidden(scalar) { visible += escape(scalar) } else { visible.unicodeScalars.append(scalar) }
    }
    return visible
  }

  /// Splits `text` at LF or CRLF and escapes each line.
  public static func lines(_ text: String) -> [String] {
    text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }.map { line(String($0)) }
  }

  /// A text of several lines, each indented, so that none looks like a line of holdfast.
  /// - Parameters:
  ///   - indent: before its first line,
  ///   - further: before each other one.
  public static func indented(_ text: String, by indent: String, further: String) -> [String] {
    var lines = lines(text)
    if lines.count > 1, lines.last == "" { lines.removeLast() }
    return lines.enumerated().map { ($0 == 0 ? indent : further) + $1 }
  }

  /// Whether it is a control character or invisible.
  public static func isHidden(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.isASCII { return scalar.value < 0x20 || scalar.value == 0x7f }
    switch scalar.properties.generalCategory {
    // Format characters include direction overrides (U+202E) and zero-width characters.
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse: return true
    default: return false
    }
  }

  /// In the syntax of the shell's `$'…'`.
  static func escape(_ scalar: Unicode.Scalar) -> String {
    switch scalar {
    case "\n": return "\\n"
    case "\r": return "\\r"
    case "\t": return "\\t"
    default: break
    }
    let digits = String(scalar.value, radix: 16)
    let (letter, width) = scalar.isASCII ? ("x", 2) : scalar.value <= 0xffff ? ("u", 4) : ("U", 8)
    return "\\" + letter + String(repeating: "0", count: width - digits.count) + digits
  }
}
