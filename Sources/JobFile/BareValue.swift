/// TOML's values without quotes: numbers, `true` and `false`. Dates are left out, as no setting takes one.
enum BareValue {
  /// What is wrong with `text`; nil if it is a valid value.
  static func mistake(_ text: String) -> String? {
    if text.isEmpty { return "a value is missing" }
    if isValue(text) { return nil }
    if isLikeDate(text) { return "no setting takes a date or time" }
    return "invalid value '\(text.prefix(60))'; strings need quotes"
  }

  private static func isValue(_ text: String) -> Bool {
    if text == "true" || text == "false" { return true }
    let (prefix, rest) = (text.prefix(2), text.dropFirst(2))
    switch prefix {
    case "0x": return isDigits(rest) { $0.isHexDigit }
    case "0o": return isDigits(rest) { ("0"..."7").contains($0) }
    case "0b": return isDigits(rest) { $0 == "0" || $0 == "1" }
    default: break
    }
    let unsigned = text.first == "+" || text.first == "-" ? text.dropFirst() : text[...]
    return unsigned == "inf" || unsigned == "nan" || isDecimal(unsigned)
  }

  /// `1_000`, `0.5`, `6e-7`
  private static func isDecimal(_ text: Substring) -> Bool {
    let exponent = text.firstIndex { $0 == "e" || $0 == "E" }
    let mantissa = text[..<(exponent ?? text.endIndex)]
    if let exponent {
      let digits = text[text.index(after: exponent)...]
      guard isDigits(digits.first == "+" || digits.first == "-" ? digits.dropFirst() : digits) else {
        return false
      }
    }
    let point = mantissa.firstIndex(of: ".")
    let whole = mantissa[..<(point ?? mantissa.endIndex)]
    guard isDigits(whole), whole == "0" || whole.first != "0" else { return false }
    return point.map { isDigits(mantissa[mantissa.index(after: $0)...]) } ?? true
  }

  /// Digits, with single underscores between them.
  private static func isDigits(
    _ text: Substring, _ isDigit: (Character) -> Bool = { ("0"..."9").contains($0) }
  ) -> Bool {
    let groups = text.split(separator: "_", omittingEmptySubsequences: false)
    return groups.allSatisfy { group in !group.isEmpty && group.allSatisfy { $0.isASCII && isDigit($0) } }
  }

  private static func isLikeDate(_ text: String) -> Bool {
    let shape = text.prefix(5).map { $0.isASCII && $0.isNumber ? "0" : $0 }
    return shape == ["0", "0", "0", "0", "-"] || shape.prefix(3) == ["0", "0", ":"]
  }
}
