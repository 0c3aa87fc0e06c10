import Testing

@testable import JobFile

/// A corrupted file never crashes the parser, and every problem has a valid place.
@Suite struct MutationTests {
  @Test(arguments: 0..<40) func problemsOfCorruptedFileHaveValidPlaces(seed: UInt64) {
    var random = Random(state: seed)
    for _ in 0..<100 { Self.expectPlaces(Self.corrupt(Array(complete.utf8), &random)) }
  }

  /// Random sequences of tokens, which the parser does not expect.
  @Test(arguments: 0..<40) func problemsOfRandomTokensHaveValidPlaces(seed: UInt64) {
    var random = Random(state: seed &+ 2000)
    let words = [
      "a", "job", "name", "1", "07:32", "1979-05-27", "0x", "inf", "true", " ", "\n", "ü", "e1", "-", "_",
    ]
    for _ in 0..<200 {
      var text = ""
      for _ in 0..<Int.random(in: 1...12, using: &random) {
        let source = Bool.random(using: &random) ? words : Self.pieces
        text += source.randomElement(using: &random) ?? ""
      }
      Self.expectPlaces(Array(text.utf8))
    }
  }

  private static func expectPlaces(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    let lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
    for problem in problems(bytes: bytes) {
      let place = problem.place
      #expect(!problem.what.isEmpty)
      #expect((1...lines.count).contains(place.line), "\(problem) in \(text)")
      guard lines.indices.contains(place.line - 1) else { continue }
      let width = lines[place.line - 1].count
      #expect((1...(width + 1)).contains(place.column), "\(problem) in \(text)")
      #expect(place.length >= 1 && place.column + place.length <= width + 2)
    }
  }

  private static let pieces = [
    "\"", "'", "\"\"\"", "'''", "[", "]", "[[", "]]", "{", "}", "=", ".", "#", "\n", "\r\n", ",", "\\",
    "\\u0000",
    "ü", "0x", "inf", "\t",
  ]

  private static func corrupt(_ bytes: [UInt8], _ random: inout Random) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<Int.random(in: 1...4, using: &random) {
      let at = Int.random(in: 0...bytes.count, using: &random)
      let length = min(bytes.count - at, Int.random(in: 1...20, using: &random))
      switch Int.random(in: 0..<6, using: &random) {
      case 0: bytes.removeSubrange(at..<(at + length))
      case 1: bytes.insert(UInt8.random(in: 0...255, using: &random), at: at)
      case 2: bytes.insert(contentsOf: bytes[at..<(at + length)], at: Int.random(in: 0...at, using: &random))
      case 3: bytes.insert(contentsOf: (Self.pieces.randomElement(using: &random) ?? "").utf8, at: at)
      case 4: bytes.removeSubrange(at...)
      default: if at < bytes.count { bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random) }
      }
    }
    return bytes
  }

  /// The locator finds every key and element that the parser accepts.
  @Test(arguments: 0..<40) func locatorFindsEveryParsedValue(seed: UInt64) throws {
    var random = Random(state: seed &+ 1000)
    for _ in 0..<100 {
      let bytes = Self.corrupt(Array((complete + Self.odd).utf8), &random)
      guard let source = try? SourceText(bytes), let nodes = try? TOMLDocument.parse(source, Locator(source))
      else { continue }
      let entries = Locator(source).entries
      guard Locator(source).nul == nil else { continue }
      for path in Self.paths(.table(nodes), []) {
        #expect(entries[path] != nil, "\(path) in \(source.text)")
      }
    }
  }

  private static func paths(_ node: Node, _ path: Locator.Path) -> [Locator.Path] {
    switch node {
    case .table(let entries):
      entries.flatMap { key, node in
        [path + [.key(key)]] + paths(node, path + [.key(key)])
      }
    case .array(let nodes):
      nodes.enumerated().flatMap { index, node in
        [path + [.index(index)]] + paths(node, path + [.index(index)])
      }
    default: []
    }
  }

  /// Valid TOML that no configuration file uses.
  private static let odd = #"""
    [a.b . "c d"]
    e.'f'.g = [[1, 2], [{ h = "x", i = [ ] }, ], # c
      """
      many
      lines \""" "" """]
    j = '''
    k = "l"'''
    [[m]]
    n = +1_0.5e-1_0
    [[m]]
    [m.o]
    p = -inf
    [[m.q]]
    "\u00e4\t" = 1
    [[m.q]]
    r = """a""""
    """#

  @Test func locatorReportsExactPlaces() throws {
    let source = try SourceText(Array(Self.odd.utf8))
    let entries = Locator(source).entries
    let path: Locator.Path = [.key("a"), .key("b"), .key("c d"), .key("e"), .key("f"), .key("g")]
    #expect(entries[path]?.key == Place(line: 2, column: 7, length: 1))
    #expect(
      entries[path + [.index(1), .index(0), .key("h")]]?.value == Place(line: 2, column: 27, length: 3))
    #expect(entries[path + [.index(2)]]?.value == Place(line: 3, column: 3, length: 3))
    #expect(
      entries[[.key("m"), .index(1), .key("o"), .key("p")]]?.value == Place(line: 12, column: 5, length: 4))
    #expect(
      entries[[.key("m"), .index(1), .key("q"), .index(0), .key("ä\t")]]?.key
        == Place(line: 14, column: 1, length: 10))
  }
}
