import TrainerProtocol

/// Names of the random streams and samplers whose digests are in the rows of each attempt, in order.
struct PartNames: Hashable, Sendable, Codable {
  struct Part: Hashable, Sendable, Codable {
    var kind: LoopState.Part.Kind
    var name: String
  }

  struct Entry: Hashable, Sendable, Codable {
    /// The first attempt with these parts.
    var attempt: UInt64
    var parts: [Part]
  }

  /// Name of the document in the store.
  static let document = "part_names_by_attempt"

  /// Maximum number of entries, for programs whose parts change in each attempt.
  private static let longest = 64
  private(set) var entries: [Entry] = []

  init() {}

  /// Sets the parts of an attempt's newest step.
  mutating func set(_ parts: [Part], attempt: UInt64) {
    guard let last = entries.last else { return entries.append(Entry(attempt: attempt, parts: parts)) }
    if last.parts == parts { return }
    if last.attempt == attempt { entries.removeLast() }
    entries.append(Entry(attempt: attempt, parts: parts))
    if entries.count > Self.longest { entries.removeFirst() }
  }

  func parts(of attempt: UInt64) -> [Part] { entries.last { $0.attempt <= attempt }?.parts ?? [] }
}
