import Foundation
import Reporting
import Testing

/// Escaping of strings and format of numbers.
@Suite struct JSONTextTests {
  private static let strings = [
    "", "plain", "\"\\/", "a\nb\tc\rd\u{0}\u{1f}\u{7f}", "é 世界 🙂", "\u{202e}\u{2028}\u{feff}",
  ]

  @Test(arguments: [JSONText.Escaping.required, .hidden, .nonASCII])
  func parsersReadTheSameText(escaping: JSONText.Escaping) throws {
    let value = JSONValue.array(Self.strings.map(JSONValue.string))
    let text = value.text(escaping: escaping)
    let read = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String]
    #expect(read == Self.strings)
    #expect(try JSONValue(parsing: text).array?.map(\.string) == Self.strings)
  }

  @Test func hiddenCharactersAreEscaped() {
    let text = JSONValue.string("\u{1b}[31m\u{202e}é🙂")
    #expect(text.text(escaping: .hidden) == #""\u001b[31m\u202eé🙂""#)
    #expect(text.text(escaping: .nonASCII) == #""\u001b[31m\u202e\u00e9\ud83d\ude42""#)
    #expect(text.text(escaping: .required) == "\"\\u001b[31m\u{202e}é🙂\"")
  }

  @Test func numbersAreValidJSON() {
    let numbers: [JSONValue] = [
      .real(.nan), .real(-.infinity), .real(0.1), .count(.max), .integer(.min), .bool(true), .null,
    ]
    #expect(
      JSONValue.array(numbers).text()
        == #"["NaN","-Infinity",0.1,18446744073709551615,-9223372036854775808,true,null]"#)
  }
}
