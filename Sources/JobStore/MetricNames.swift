import TrainerProtocol

/// Names of the metrics in the rows of each attempt. Rows are compared by name, as a resumed program may
/// declare metrics in another order, or those of its validation later.
struct MetricNames: Hashable, Sendable, Codable {
  struct Entry: Hashable, Sendable, Codable {
    /// The first attempt with these names.
    var attempt: UInt64
    /// In order; an attempt may have only the first ones.
    var names: [String]
  }

  /// Name of the document in the store.
  static let document = "metric_names_by_attempt"

  /// Maximum number of entries, for programs that change the order in each attempt.
  private static let longest = 64
  private(set) var entries: [Entry] = []

  init() {}

  /// - Parameter names: from a store of an earlier version, without an attempt.
  init(ofAll names: [String]) {
    if !names.isEmpty { entries = [Entry(attempt: 0, names: names)] }
  }

  /// Sets the names that an attempt has declared so far.
  mutating func set(_ names: [String], attempt: UInt64) {
    guard let last = entries.last else { return entries.append(Entry(attempt: attempt, names: names)) }
    if names.starts(with: last.names) {
      entries[entries.count - 1].names = names
    } else if !last.names.starts(with: names) {
      if last.attempt == attempt { entries.removeLast() }
      entries.append(Entry(attempt: attempt, names: names))
      if entries.count > Self.longest { entries.removeFirst() }
    }
  }

  private func index(of attempt: UInt64) -> Int? { entries.lastIndex { $0.attempt <= attempt } }

  /// Names of an attempt's metrics; empty if it declared none.
  func names(of attempt: UInt64) -> [String] { index(of: attempt).map { entries[$0].names } ?? [] }

  /// - Parameters:
  ///   - recorded, replayed: the metrics' bits in two rows of the same step.
  func differences(
    _ recorded: UnsafeRawBufferPointer, of old: UInt64, from replayed: UnsafeRawBufferPointer, of new: UInt64
  ) -> [ReplayAudit.Item] {
    let (before, after) = (index(of: old), index(of: new))
    if before == after, recorded.elementsEqual(replayed) { return [] }
    // If an attempt declared none, values are compared by position.
    let oldNames = (before ?? after).map { entries[$0].names } ?? []
    let newNames = (after ?? before).map { entries[$0].names } ?? []
    var values: [String: (old: UInt64?, new: UInt64?)] = [:]
    var order: [String] = []
    for (row, names, isNew) in [(recorded, oldNames, false), (replayed, newNames, true)] {
      for index in 0..<row.count / 8 {
        let name = index < names.count ? names[index] : "#\(index + 1)"
        if values[name] == nil { order.append(name) }
        let bits = row.word(index * 8)
        if isNew {
          values[name, default: (nil, nil)].new = bits
        } else {
          values[name, default: (nil, nil)].old = bits
        }
      }
    }
    return order.compactMap { name in
      // A metric without a value in a step is NaN, or missing before its declaration.
      let (old, new) = (values[name]?.old ?? Self.absent, values[name]?.new ?? Self.absent)
      guard old != new else { return nil }
      return ReplayAudit.Item(
        part: "metrics", name: name, recorded: Double(bitPattern: old), replayed: Double(bitPattern: new))
    }
  }

  private static let absent = Double.nan.bitPattern
}
