import POSIX

/// One line of text output. Colours are kept apart from the text, in which control characters are escaped
/// when it is printed, so that nothing in it can move the cursor or imitate another line.
struct Line: ExpressibleByStringInterpolation, CustomStringConvertible {
  struct Span {
    var text: String
    var color: Output.Color?
  }

  fileprivate(set) var spans: [Span]

  /// The text without colours.
  var description: String { spans.map(\.text).joined() }

  init(_ text: String, _ color: Output.Color? = nil) { spans = [Span(text: text, color: color)] }
  init(stringLiteral text: String) { self.init(text) }
  init(stringInterpolation parts: StringInterpolation) { spans = parts.spans }

  struct StringInterpolation: StringInterpolationProtocol {
    fileprivate var spans: [Span] = []

    init(literalCapacity: Int, interpolationCount: Int) {}

    mutating func appendLiteral(_ literal: String) { spans.append(Span(text: literal)) }
    mutating func appendInterpolation(_ value: some CustomStringConvertible) {
      spans.append(Span(text: value.description))
    }
    mutating func appendInterpolation(_ line: Line) { spans += line.spans }
  }

  static func += (line: inout Line, more: Line) { line.spans += more.spans }
}
