import TOMLKit

/// The only code that uses the TOML parser.
enum TOMLDocument {
  /// - Throws: the first syntax error; the parser stops there.
  static func parse(_ source: SourceText, _ locator: Locator) throws(Problem) -> [String: Node] {
    guard let refusal = locator.refusal else { return try parse(source.text, source, locator) ?? [:] }
    // An error before it is reported first.
    let before = source.text.unicodeScalars.prefix(refusal.offset)
    _ = try parse(String(String.UnicodeScalarView(before)), source, locator, isPart: true)
    throw Problem("invalid TOML: \(refusal.what)", at: refusal.place, in: source)
  }

  /// - Parameter isPart: whether the text is only the start of a file, so that its end is not an error.
  private static func parse(
    _ text: String, _ source: SourceText, _ locator: Locator, isPart: Bool = false
  ) throws(Problem) -> [String: Node]? {
    do {
      return nodes(try TOMLTable(string: text))
    } catch let error as TOMLParseError {
      if isPart, error.description.contains("end-of-file") { return nil }
      let begin = error.source.begin
      throw problem(
        error.description, at: Place(line: begin.line, column: begin.column), in: source, locator)
    } catch {
      throw Problem("\(error)", at: Place(line: 1, column: 1), in: source)
    }
  }

  /// The parser's message, reworded if it is known.
  private static func problem(
    _ description: String, at place: Place, in source: SourceText, _ locator: Locator
  ) -> Problem {
    var text = description
    // "Error while parsing key-value pair: …"
    if text.hasPrefix("Error while parsing "), let colon = text.firstIndex(of: ":") {
      text = String(text[text.index(after: colon)...].drop { $0 == " " })
    }
    if text.hasPrefix("cannot redefine existing ") { return repeated(text, at: place, in: source, locator) }
    let line = source.lines[source.clamp(place).line - 1]
    if text.hasPrefix("unescaped control characters"), place.column > line.count {
      text = "unterminated string"
    } else if text.hasPrefix("encountered end-of-file") {
      text = "unexpected end of file"
    }
    return Problem("invalid TOML: \(text)", at: place, in: source)
  }

  /// The problem for the parser's `cannot redefine existing array 'name'`.
  private static func repeated(
    _ text: String, at place: Place, in source: SourceText, _ locator: Locator
  ) -> Problem {
    let parts = text.split(separator: "'")
    let name = parts.count > 1 ? " '\(parts[1])'" : ""
    // The parser points past the key.
    if let known = locator.repeats[place.line] {
      return Problem(
        "duplicate\(name); first defined on line \(known.first.line)", at: known.again, in: source)
    }
    return Problem("invalid TOML: the key\(name) is already a value or a section", at: place, in: source)
  }

  private static func nodes(_ table: TOMLTable) -> [String: Node] {
    var nodes: [String: Node] = [:]
    for key in table.keys {
      guard let value = table[key] else { continue }
      nodes[key] = node(value)
    }
    return nodes
  }

  private static func node(_ value: any TOMLValueConvertible) -> Node {
    switch value.type {
    case .string: .string(value.string ?? "")
    case .int: .integer(value.int ?? 0)
    case .double: .real(value.double ?? 0)
    case .bool: .boolean(value.bool ?? false)
    case .date, .time, .dateTime: .date
    case .table: .table(value.table.map(nodes) ?? [:])
    case .array: .array(value.array.map { $0.map(node) } ?? [])
    }
  }
}
