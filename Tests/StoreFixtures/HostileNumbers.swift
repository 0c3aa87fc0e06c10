/// Puts invalid numbers into a JSON document, as extreme as its reader accepts. Others would make the reader
/// skip the document, and nothing would be tested.
public enum HostileNumbers: String, CaseIterable, Sendable {
  case largest, smallest, zero, notFinite

  private var candidates: [String] {
    switch self {
    case .largest: ["1e308", "18446744073709551615", "9223372036854775807", "2147483647"]
    case .smallest: ["-1e308", "-9223372036854775808", "-2147483648", "0"]
    case .zero: ["0"]
    case .notFinite: ["\"NaN\"", "\"Infinity\"", "18446744073709551614", "9223372036854775806", "1"]
    }
  }

  /// - Parameter isReadable: whether the document's reader accepts it.
  /// - Returns: `document` with all its numbers replaced.
  public func everywhere(_ document: String, isReadable: (String) -> Bool) -> String {
    var text = document
    var index = 0
    while let changed = replace(index, in: text, isReadable) {
      text = changed
      index += 1
    }
    return text
  }

  /// - Returns: `document` once for each of its numbers, with that one replaced.
  public func oneByOne(_ document: String, isReadable: (String) -> Bool) -> [String] {
    (0..<Self.numbers(document).count).compactMap { replace($0, in: document, isReadable) }
  }

  /// - Returns: nil if there are fewer numbers.
  private func replace(_ index: Int, in text: String, _ isReadable: (String) -> Bool) -> String? {
    let numbers = Self.numbers(text)
    guard index < numbers.count else { return nil }
    for candidate in candidates {
      let changed = text.replacingCharacters(in: numbers[index], with: candidate)
      if isReadable(changed) { return changed }
    }
    return text
  }

  /// Ranges of numbers and of words for numbers.
  private static func numbers(_ text: String) -> [Range<String.Index>] {
    var ranges: [Range<String.Index>] = []
    var position = text.startIndex
    while position < text.endIndex {
      let start = position
      if text[position] == "\"" {
        position = text.index(after: position)
        while position < text.endIndex, text[position] != "\"" {
          if text[position] == "\\" { position = text.index(after: position) }
          position = text.index(after: position)
        }
        position = text.index(after: position)
        if ["\"NaN\"", "\"Infinity\""].contains(text[start..<position]) { ranges.append(start..<position) }
      } else if text[position].isNumber || text[position] == "-" {
        while position < text.endIndex, text[position].isNumber || "-+.eE".contains(text[position]) {
          position = text.index(after: position)
        }
        ranges.append(start..<position)
      } else {
        position = text.index(after: position)
      }
    }
    return ranges
  }
}

extension String {
  fileprivate func replacingCharacters(in range: Range<String.Index>, with text: String) -> String {
    String(self[..<range.lowerBound]) + text + String(self[range.upperBound...])
  }
}
