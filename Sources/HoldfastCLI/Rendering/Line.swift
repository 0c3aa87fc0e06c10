import POSIX

/// One line for a person. Colour is a part of it, not of its text: whatever the text contains is made visible
/// when the line is printed, so that nothing in it can move the cursor or look like another line.
struct Line: ExpressibleByStringInterpolation, CustomStringConvertible {
  struct Span {
    var text: String
    var color: Output.Color?
  }

  fileprivate(set) var spans: [Span]

  /// Without its colours.
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
