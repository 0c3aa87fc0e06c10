/// A word of a command that expands to the arguments with which a program resumes: `{resume:--ckpt_path %}`. Spaces
/// separate the arguments, `%` is replaced by the path of the checkpoint, and `%%` by a percent sign. Without a
/// checkpoint the word expands to nothing.
public struct ResumeArgument: Hashable, Sendable {
  /// The word cannot be used as a template.
  public struct Mistake: Error, Hashable, CustomStringConvertible {
    public let description: String
  }

  private enum Part: Hashable {
    case text(String)
    case path
  }

  private static let opening = "{resume:"
  /// The parts of each argument.
  private let arguments: [[Part]]

  /// - Returns: nil for any other word.
  /// - Throws: the word looks like a template, but is none.
  public init?(_ word: String) throws(Mistake) {
    guard word.hasPrefix(Self.opening) else {
      if let mistake = Self.mistake(in: word) { throw Mistake(description: mistake) }
      return nil
    }
    guard word.hasSuffix("}") else { throw Mistake(description: "'\(word)' has no '}' at its end") }
    let inside = word.dropFirst(Self.opening.count).dropLast()
    arguments = inside.split(separator: " ").map(Self.parts)
    guard !arguments.isEmpty else {
      throw Mistake(description: "'\(word)' is empty: write the arguments, such as '{resume:--resume %}'")
    }
    guard arguments.joined().count(where: { $0 == .path }) <= 1 else {
      throw Mistake(description: "'\(word)' has more than one '%'; write '%%' for a percent sign")
    }
  }

  /// Whether one of the arguments contains the path. If none does, the program finds its checkpoint itself.
  public var hasPath: Bool { arguments.joined().contains(.path) }

  public func expanded(path: String) -> [String] {
    arguments.map { parts in
      parts.map { part in
        switch part {
        case .text(let text): text
        case .path: path
        }
      }.joined()
    }
  }

  /// - Parameter path: of the checkpoint; nil: the program starts from the beginning.
  public static func expand(_ command: [String], path: String?) -> [String] {
    command.flatMap { word -> [String] in
      // Checked before the job began; an unusable word is passed as it is.
      guard let argument = try? ResumeArgument(word) else { return [word] }
      return path.map { argument.expanded(path: $0) } ?? []
    }
  }

  /// Whether one of the words expands to the path of the checkpoint.
  public static func passesPath(_ command: [String]) -> Bool {
    command.contains { (try? ResumeArgument($0))?.hasPath ?? false }
  }

  private static func parts(_ argument: Substring) -> [Part] {
    var parts: [Part] = []
    var rest = argument
    while let sign = rest.firstIndex(of: "%") {
      let next = rest.index(after: sign)
      let isEscaped = next < rest.endIndex && rest[next] == "%"
      parts.append(.text(String(rest[..<sign]) + (isEscaped ? "%" : "")))
      if !isEscaped { parts.append(.path) }
      rest = rest[(isEscaped ? rest.index(after: next) : next)...]
    }
    parts.append(.text(String(rest)))
    return parts
  }

  /// What is wrong with a word that was probably meant as a template; nil: it was not.
  private static func mistake(in word: String) -> String? {
    if word.contains(opening) {
      return "'\(word)': '{resume:…}' must be a word of its own; write '{resume:--option=%}'"
    }
    guard word.hasPrefix("{"), word.hasSuffix("}") else { return nil }
    let name = word.dropFirst().prefix { $0.isLetter }
    let rest = word.dropFirst(1 + name.count)
    guard rest.hasPrefix(":") || rest == "}", name.lowercased().hasPrefix("resum") else { return nil }
    return "unknown template '\(word)'; did you mean '{resume:--option %}'?"
  }
}
