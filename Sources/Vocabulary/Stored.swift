/// A word of the vocabulary as stored in a file. An unknown word of a newer version is retained and shown unchanged.
public struct Stored<Word: RawRepresentable<String> & Sendable>: Hashable, Sendable {
  public let text: String

  public init(_ word: Word) { text = word.rawValue }
  public init(text: String) { self.text = text }

  /// nil: this version does not know it.
  public var word: Word? { Word(rawValue: text) }
}

extension Stored: Codable {
  public init(from decoder: any Decoder) throws {
    text = try decoder.singleValueContainer().decode(String.self)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(text)
  }
}
