public import SystemPackage

/// A command for the user. Interpolated values are quoted for the shell where necessary, so that it can be
/// pasted safely, whatever a path or a name contains:
///
///     let hint: Hint = "ls -l \(path)"
///
/// Other hints and arguments labelled `words` are not quoted.
public struct Hint: Hashable, Sendable, ExpressibleByStringInterpolation, CustomStringConvertible {
  public let text: String

  public init(stringLiteral text: String) { self.text = text }
  public init(stringInterpolation parts: StringInterpolation) { text = parts.text }

  public init(_ hint: Hint) { self = hint }

  /// Quotes the words of a command where necessary.
  public init(command: [String]) { text = command.map(Self.quoted).joined(separator: " ") }

  public var description: String { text }

  /// One hint per line.
  public var lines: [Hint] { text.split(separator: "\n").map { Hint(stringLiteral: String($0)) } }

  public struct StringInterpolation: StringInterpolationProtocol {
    fileprivate var text = ""

    public init(literalCapacity: Int, interpolationCount: Int) {}

    public mutating func appendLiteral(_ literal: String) { text += literal }
    public mutating func appendInterpolation(_ word: String) { text += Hint.quoted(word) }
    public mutating func appendInterpolation(_ path: FilePath) { text += Hint.quoted(path.string) }
    public mutating func appendInterpolation(_ number: some BinaryInteger) { text += "\(number)" }
    public mutating func appendInterpolation(_ hint: Hint) { text += hint.text }
    /// Text that is not part of a command.
    public mutating func appendInterpolation(words: String) { text += words }
  }

  /// Quotes `word` for the shell, on one line.
  public static func quoted(_ word: String) -> String {
    let isPlain =
      !word.isEmpty
      && word.utf8.allSatisfy { byte in
        UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte
          || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || "-_./=:,+@%".utf8.contains(byte)
      }
    if isPlain { return word }
    let isVisible = !word.unicodeScalars.contains { VisibleText.isHidden($0) }
    var text = isVisible ? "'" : "$'"
    for scalar in word.unicodeScalars {
      switch scalar {
      case "'": text += isVisible ? "'\\''" : "\\'"
      case "\\" where !isVisible: text += "\\\\"
      case _ where VisibleText.isHidden(scalar): text += VisibleText.escape(scalar)
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text + "'"
  }
}
