/// The lines of a configuration file. An empty file has one empty line.
struct SourceText {
  /// Without line endings.
  let lines: [[Unicode.Scalar]]
  let text: String

  /// - Throws: the first place that is not text allowed by TOML.
  init(_ bytes: [UInt8]) throws(Problem) {
    // A byte order mark is allowed, but the parser would count it as a column.
    let bytes = bytes.starts(with: [0xef, 0xbb, 0xbf]) ? Array(bytes.dropFirst(3)) : bytes
    text = String(decoding: bytes, as: UTF8.self)
    lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      Array(line.last == "\r" ? line.dropLast() : line)
    }
    if String(validating: bytes, as: UTF8.self) == nil {
      throw Problem("invalid UTF-8", at: place(ofByte: Self.validLength(bytes), in: bytes), in: self)
    }
    // The parser would silently stop reading at a NUL.
    for (row, line) in lines.enumerated() {
      guard let column = line.firstIndex(where: { Self.isForbidden($0) }) else { continue }
      let code = String(line[column].value, radix: 16, uppercase: true)
      throw Problem(
        "control character U+\(String(repeating: "0", count: 4 - code.count))\(code) is not allowed",
        at: Place(line: row + 1, column: column + 1), in: self)
    }
  }

  private static func isForbidden(_ scalar: Unicode.Scalar) -> Bool {
    (scalar.value < 0x20 && scalar != "\t") || scalar.value == 0x7f
  }

  /// Length of the longest prefix that is valid UTF-8.
  private static func validLength(_ bytes: [UInt8]) -> Int {
    var decoder = UTF8()
    var rest = bytes.makeIterator()
    var length = 0
    while case .scalarValue(let scalar) = decoder.decode(&rest) { length += UTF8.width(scalar) }
    return length
  }

  private func place(ofByte offset: Int, in bytes: [UInt8]) -> Place {
    let before = String(decoding: bytes[..<offset], as: UTF8.self).unicodeScalars
    let line = before.split(separator: "\n", omittingEmptySubsequences: false)
    return Place(line: line.count, column: (line.last?.count ?? 0) + 1)
  }

  /// `place`, moved into the text: a parser may point past its end.
  func clamp(_ place: Place) -> Place {
    let line = min(max(1, place.line), lines.count)
    let width = lines[line - 1].count
    let column = line == place.line ? min(max(1, place.column), width + 1) : width + 1
    return Place(line: line, column: column, length: max(1, min(place.length, width + 1 - column)))
  }
}
