import TrainerProtocol

/// What the digests in rows of each attempt are of: the random streams and samplers, in the order of the rows.
struct PartNames: Hashable, Sendable, Codable {
  struct Part: Hashable, Sendable, Codable {
    var kind: LoopState.Part.Kind
    var name: String
  }

  struct Entry: Hashable, Sendable, Codable {
    /// From which on they are these.
    var attempt: UInt64
    var parts: [Part]
  }

  /// Name of the document that has them in the store.
  static let document = "part_names_by_attempt"

  /// A program that has others in each attempt is not followed for ever.
  private static let longest = 64
  private(set) var entries: [Entry] = []

  init() {}

  /// Takes those of an attempt's newest step.
  mutating func set(_ parts: [Part], attempt: UInt64) {
    guard let last = entries.last else { return entries.append(Entry(attempt: attempt, parts: parts)) }
    if last.parts == parts { return }
    if last.attempt == attempt { entries.removeLast() }
    entries.append(Entry(attempt: attempt, parts: parts))
    if entries.count > Self.longest { entries.removeFirst() }
  }

  func parts(of attempt: UInt64) -> [Part] { entries.last { $0.attempt <= attempt }?.parts ?? [] }
}
