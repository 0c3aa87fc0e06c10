/// One thing that is wrong in a configuration file, where it is, and what the line says there.
public struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
  public var what: String
  public var place: Place
  /// The line, without what a terminal would obey; empty where the file is.
  public var line: String
  /// Column of `place` in `line`, which is a part of a very long one.
  public var lineColumn: Int

  init(_ what: String, at place: Place, in source: SourceText) {
    self.what = what
    let place = source.clamp(place)
    self.place = place
    let whole = source.lines[place.line - 1]
    // A window of the line that holds the place.
    let first = place.column > 120 ? place.column - 60 : 0
    let part = whole.dropFirst(first).prefix(160)
    lineColumn = place.column - first
    var text = String.UnicodeScalarView()
    for scalar in part {
      let isControl = scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value)
      text.append(scalar == "\t" ? " " : isControl ? "?" : scalar)
    }
    line = String(text)
    self.place.length = max(1, min(place.length, part.count + 1 - lineColumn))
  }

  public var description: String { "\(place.line):\(place.column): \(what)" }

  /// `12 | intervall = "10 min"`, and below it carets where the mistake is; nothing for an empty line.
  public var excerpt: [String] {
    guard !line.isEmpty else { return [] }
    let number = "\(place.line) | "
    let indent = String(repeating: " ", count: number.count + lineColumn - 1)
    return [number + line, indent + String(repeating: "^", count: place.length)]
  }
}
