/// Text of others (exceptions, names, command lines, messages of other programs) made fit for a terminal or a
/// log. What a terminal obeys, what breaks a line, and what changes the order in which text is read becomes an
/// escape that can be seen, as `ls -b` shows it: `\n`, `\x1b`, `\u202e`.
///
/// A backslash stays as it is, so that text that was made visible twice is what it was after the first time.
public enum VisibleText {
  /// All of it on one line.
  public static func line(_ text: String) -> String {
    if text.utf8.allSatisfy({ (0x20..<0x7f).contains($0) }) { return text }
    var visible = ""
    for scalar in text.unicodeScalars {
      if isHidden(scalar) { visible += escape(scalar) } else { visible.unicodeScalars.append(scalar) }
    }
    return visible
  }

  /// Its own lines, each made visible; a carriage return before the end of a line is a part of the end.
  public static func lines(_ text: String) -> [String] {
    text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }.map { line(String($0)) }
  }

  /// A text of several lines, none of which can be taken for a line of ours.
  /// - Parameters:
  ///   - indent: before its first line,
  ///   - further: before each other one.
  public static func indented(_ text: String, by indent: String, further: String) -> [String] {
    var lines = lines(text)
    if lines.count > 1, lines.last == "" { lines.removeLast() }
    return lines.enumerated().map { ($0 == 0 ? indent : further) + $1 }
  }

  /// Whether a terminal obeys it, or a reader cannot see it.
  public static func isHidden(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.isASCII { return scalar.value < 0x20 || scalar.value == 0x7f }
    switch scalar.properties.generalCategory {
    // Format characters: U+202E and its kind, and those of no width.
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse: return true
    default: return false
    }
  }

  /// As `$'…'` of a shell reads it back.
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
