/// The position of each key and value in a TOML document, which the parser does not report.
///
/// It finds the borders of keys and values and relies on the parser for the rest. Both agree up to the first
/// thing that the parser rejects; after that, it may stop early or find wrong positions.
struct Locator {
  enum Component: Hashable {
    case key(String)
    case index(Int)
  }
  typealias Path = [Component]

  struct Entry {
    /// The key, or the header that names the table.
    var key: Place
    /// Only the part on its first line.
    var value: Place
  }

  /// Parts of a path. The parser and this type recurse, and a file must not exhaust the stack.
  static let deepest = 32

  private(set) var entries: [Path: Entry] = [:]
  /// The first thing on which the parser would abort the process (assertions of toml++ 3.4 in parse_key,
  /// parse_value and parse_time): the message, its offset and its place.
  private(set) var refusal: (what: String, offset: Int, place: Place)?
  /// The first escaped NUL; it would truncate the parser's strings.
  private(set) var nul: Place?

  private let scalars: [Unicode.Scalar]
  private var position = 0
  private var line = 1
  private var lineStart = 0
  /// Duplicate keys, by line, and where each was first.
  private(set) var repeats: [Int: (again: Place, first: Place)] = [:]
  /// Tables with their own header.
  private var headed: Set<Path> = []
  /// Number of tables so far in each array of tables.
  private var tableCounts: [Path: Int] = [:]

  init(_ source: SourceText) {
    scalars = Array(source.text.unicodeScalars)
    readDocument()
  }

  // MARK: Characters

  private var next: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

  private func peek(_ distance: Int) -> Unicode.Scalar? {
    position + distance < scalars.count ? scalars[position + distance] : nil
  }

  private mutating func advance() {
    if scalars[position] == "\n" {
      line += 1
      lineStart = position + 1
    }
    position += 1
  }

  private mutating func skipBlanks() { while next == " " || next == "\t" { advance() } }

  private mutating func skipLine() { while let scalar = next, scalar != "\n" { advance() } }

  /// Blanks, line ends and comments.
  private mutating func skipSpace() {
    while let scalar = next {
      if scalar == "#" {
        skipLine()
      } else if scalar == " " || scalar == "\t" || scalar == "\r" || scalar == "\n" {
        advance()
      } else {
        return
      }
    }
  }

  /// The text read since `mark`, up to the end of its first line.
  private func place(from mark: (position: Int, line: Int, lineStart: Int)) -> Place {
    var end = mark.position
    while end < position, scalars[end] != "\n", scalars[end] != "\r" { end += 1 }
    return Place(line: mark.line, column: mark.position - mark.lineStart + 1, length: end - mark.position)
  }

  private var mark: (position: Int, line: Int, lineStart: Int) { (position, line, lineStart) }

  // MARK: Structure

  private mutating func readDocument() {
    var table: Path = []
    while true {
      skipSpace()
      guard let scalar = next else { return }
      let before = position
      if scalar == "[" {
        table = readHeader()
        skipLine()
      } else {
        readPair(in: table)
        skipBlanks()
        if next == "#" { skipLine() }
      }
      if position == before { return }
    }
  }

  /// `[a.b]` or `[[a.b]]`.
  private mutating func readHeader() -> Path {
    let start = mark
    advance()
    let isArray = next == "["
    if isArray { advance() }
    skipBlanks()
    if !Self.canBegin(next) {
      let place = Place(line: line, column: position - lineStart + 1)
      refuse("a section name must be letters, digits, '-' and '_', or quoted", start.position, place)
    }
    let keys = readKeys()
    skipBlanks()
    if next == "]" { advance() }
    if isArray, next == "]" { advance() }
    let header = place(from: start)
    var path: Path = []
    for (index, key) in keys.enumerated() {
      path.append(.key(key.name))
      let isLast = index == keys.count - 1
      let isOwn = isLast && headed.insert(path).inserted
      if isLast, !isOwn, !isArray, let first = entries[path] { noteRepeat(key.place, first.key) }
      // A table's own header is a better place than that of a table below it; of two, the first.
      if entries[path] == nil || isOwn {
        entries[path] = Entry(key: key.place, value: isLast ? header : key.place)
      }
      // A section below an array of tables belongs to the array's last table.
      if let count = tableCounts[path], !(isArray && isLast) { path.append(.index(count - 1)) }
    }
    if isArray, let key = keys.last?.place {
      let count = tableCounts[path, default: 0]
      tableCounts[path] = count + 1
      path.append(.index(count))
      entries[path] = Entry(key: key, value: header)
    }
    return path
  }

  /// Records a dotted key and the tables that it creates.
  private mutating func note(_ places: [Place], _ path: Path, in table: Path = [], value: Place) {
    for index in places.indices {
      let part = table + path[...index]
      let isLast = index == places.count - 1
      if entries[part] == nil {
        entries[part] = Entry(key: places[index], value: isLast ? value : places[index])
      }
    }
  }

  /// `a.b = value`
  private mutating func readPair(in table: Path) {
    let keys = readKeys()
    skipBlanks()
    guard next == "=", !keys.isEmpty else {
      position = scalars.count
      return
    }
    advance()
    skipBlanks()
    let path = keys.map { Component.key($0.name) }
    if let first = entries[table + path], let key = keys.last { noteRepeat(key.place, first.key) }
    let value = readValue(table + path)
    note(keys.map(\.place), path, in: table, value: value)
  }

  private mutating func noteRepeat(_ place: Place, _ first: Place) {
    if repeats[place.line] == nil { repeats[place.line] = (place, first) }
  }

  private mutating func readKeys() -> [(name: String, place: Place)] {
    var keys: [(name: String, place: Place)] = []
    while true {
      skipBlanks()
      let start = mark
      let name: String
      if let quote = next, quote == "\"" || quote == "'" {
        name = readString(quote)
      } else {
        var bare = String.UnicodeScalarView()
        while let scalar = next, Self.isBare(scalar) {
          bare.append(scalar)
          advance()
        }
        name = String(bare)
      }
      guard position > start.position else { return keys }
      guard keys.count < Self.deepest else {
        refuse("the key has too many parts", start.position, place(from: start))
        position = scalars.count
        return []
      }
      keys.append((name, place(from: start)))
      skipBlanks()
      guard next == "." else { return keys }
      advance()
    }
  }

  private mutating func refuse(_ what: String, _ offset: Int, _ place: Place) {
    if refusal == nil { refusal = (what, offset, place) }
  }

  private static func canBegin(_ scalar: Unicode.Scalar?) -> Bool {
    guard let scalar else { return true }
    return scalar.isASCII
      && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
        || "-_\"'".unicodeScalars.contains(scalar))
  }

  private static func isBare(_ scalar: Unicode.Scalar) -> Bool {
    !(" \t\r\n.=]#\"'[{},".unicodeScalars.contains(scalar))
  }

  // MARK: Values

  @discardableResult
  private mutating func readValue(_ path: Path) -> Place {
    let start = mark
    guard path.count <= Self.deepest else {
      refuse(
        "values are nested too deeply", start.position, Place(line: line, column: position - lineStart + 1))
      position = scalars.count
      return Place(line: start.line, column: start.position - start.lineStart + 1)
    }
    switch next {
    case "\"", "'": _ = readString(next ?? "\"")
    case "[": readArray(path)
    case "{": readInlineTable(path)
    default:
      while let scalar = next, !",]}#\r\n".unicodeScalars.contains(scalar) { advance() }
      // Trailing blanks are not part of the value.
      while position > start.position, " \t".unicodeScalars.contains(scalars[position - 1]) { position -= 1 }
      let bare = place(from: start)
      let text = String(String.UnicodeScalarView(scalars[start.position..<position]))
      if let mistake = BareValue.mistake(text) { refuse(mistake, start.position, bare) }
    }
    return place(from: start)
  }

  private mutating func readArray(_ path: Path) {
    advance()
    var index = 0
    while true {
      skipSpace()
      guard let scalar = next else { return }
      if scalar == "]" { return advance() }
      if scalar == "," {
        advance()
        continue
      }
      let before = position
      let element = path + [.index(index)]
      let place = readValue(element)
      entries[element] = Entry(key: place, value: place)
      index += 1
      if position == before {
        position = scalars.count
        return
      }
    }
  }

  private mutating func readInlineTable(_ path: Path) {
    advance()
    while true {
      skipSpace()
      guard let scalar = next else { return }
      if scalar == "}" { return advance() }
      if scalar == "," {
        advance()
        continue
      }
      let before = position
      readPair(in: path)
      if position == before {
        position = scalars.count
        return
      }
    }
  }

  /// Reads any of the four kinds of strings.
  /// - Returns: its value; inexact for a multi-line string, which cannot be a key.
  private mutating func readString(_ quote: Unicode.Scalar) -> String {
    let isLong = peek(1) == quote && peek(2) == quote
    for _ in 0..<(isLong ? 3 : 1) { advance() }
    var text = String.UnicodeScalarView()
    while let scalar = next {
      if scalar == "\\", quote == "\"" {
        if let meant = readEscape() { text.append(meant) }
        continue
      }
      if scalar == quote {
        if !isLong {
          advance()
          return String(text)
        }
        if peek(1) == quote, peek(2) == quote {
          for _ in 0..<3 { advance() }
          // The string may end with up to two quotes of its own before the closing three.
          while next == quote { advance() }
          return String(text)
        }
      }
      text.append(scalar)
      advance()
    }
    return String(text)
  }

  private mutating func readEscape() -> Unicode.Scalar? {
    let start = mark
    advance()
    guard let scalar = next else { return nil }
    advance()
    switch scalar {
    case "b": return "\u{8}"
    case "t": return "\t"
    case "n": return "\n"
    case "f": return "\u{c}"
    case "r": return "\r"
    case "u", "U":
      var digits = ""
      while digits.count < (scalar == "u" ? 4 : 8), let digit = next, digit.properties.isASCIIHexDigit {
        digits.unicodeScalars.append(digit)
        advance()
      }
      let value = UInt32(digits, radix: 16)
      if value == 0, nul == nil { nul = place(from: start) }
      return value.flatMap(Unicode.Scalar.init)
    default: return scalar
    }
  }
}
