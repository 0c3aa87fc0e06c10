import TrainerProtocol

/// The names of the metrics in rows of each attempt. A resumed program may name them in another order, or those
/// of its validation later: rows are compared by name.
struct MetricNames: Hashable, Sendable, Codable {
  struct Entry: Hashable, Sendable, Codable {
    /// From which on they have these names…
    var attempt: UInt64
    /// …in this order, as far as they have them.
    var names: [String]
  }

  /// Name of the document that has them in the store.
  static let document = "metric_names_by_attempt"

  /// Of orders that were there: a program that finds a new one in each attempt is not followed for ever.
  private static let longest = 64
  private(set) var entries: [Entry] = []

  init() {}

  /// - Parameter names: as a store of an earlier version has them, of whichever attempt.
  init(ofAll names: [String]) {
    if !names.isEmpty { entries = [Entry(attempt: 0, names: names)] }
  }

  /// Takes what an attempt says its metrics are called, all of them so far.
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

  /// The names of an attempt's metrics; none where it named none.
  func names(of attempt: UInt64) -> [String] { index(of: attempt).map { entries[$0].names } ?? [] }

  /// - Parameters:
  ///   - recorded, replayed: the metrics' bits of two rows of one step.
  func differences(
    _ recorded: UnsafeRawBufferPointer, of old: UInt64, from replayed: UnsafeRawBufferPointer, of new: UInt64
  ) -> [ReplayAudit.Item] {
    let (before, after) = (index(of: old), index(of: new))
    if before == after, recorded.elementsEqual(replayed) { return [] }
    // Of an attempt that named none the order must do.
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
      // What a step does not have is not a number, or, before anyone named it, not there.
      let (old, new) = (values[name]?.old ?? Self.absent, values[name]?.new ?? Self.absent)
      guard old != new else { return nil }
      return ReplayAudit.Item(
        part: "metrics", name: name, recorded: Double(bitPattern: old), replayed: Double(bitPattern: new))
    }
  }

  private static let absent = Double.nan.bitPattern
}
