/// Changes that wait for a store that cannot be written. That may last for weeks, with ten changes for each attempt:
/// of each record only its newest version is kept, and of events and attempts only the newest.
extension [StoreWriter.Submission] {
  /// Submissions from which on it is worth the work.
  static var compactedFrom: Int { 5000 }
  /// Events and attempts that are kept.
  static var largestHistory: Int { 10_000 }

  /// Nobody may wait for any of them.
  /// - Returns: how many events and attempts were given up.
  mutating func compact(keep history: Int = largestHistory) -> UInt64 {
    var seen: [StoreOperation.Target: Set<[UInt8]>] = [:]
    var kept: [StoreOperation] = []
    var left = history
    var dropped: UInt64 = 0
    // From the newest on.
    for operation in self.reversed().lazy.flatMap({ $0.operations.reversed() }) {
      // Events have no key before they are written: each is one of its own.
      let isEvent = operation.target == .events
      guard isEvent || seen[operation.target, default: []].insert(operation.key).inserted else {
        continue
      }
      if isEvent || operation.target == .attempts {
        guard left > 0 else {
          dropped += 1
          continue
        }
        left -= 1
      }
      kept.append(operation)
    }
    self = [.init(operations: kept.reversed(), completion: nil)]
    return dropped
  }
}
