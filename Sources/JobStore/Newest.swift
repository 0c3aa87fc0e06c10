/// Data that is stored only for the newest step.
struct Newest {
  /// All parts of the loop state, encoded.
  var parts: [UInt8] = []
  /// Step and image of the newest full snapshot.
  var full: [UInt8] = []
  var partCount = 0
  /// Attempt of the parts.
  var attempt: UInt64 = 0
  var metricNames: [String]?
  var namesByAttempt: MetricNames?

  init() {}

  init(_ drain: RingDrain) {
    attempt = drain.attempt
    if drain.drained.snapshots > 0 { (parts, partCount) = (drain.newestParts, drain.newestPartCount) }
    full = drain.newestFull
    metricNames = drain.metricNames
    if metricNames != nil { namesByAttempt = drain.namesByAttempt }
  }

  mutating func update(with newer: Newest) {
    if !newer.parts.isEmpty { (parts, partCount, attempt) = (newer.parts, newer.partCount, newer.attempt) }
    if !newer.full.isEmpty { full = newer.full }
    if let names = newer.metricNames { metricNames = names }
    if let names = newer.namesByAttempt { namesByAttempt = names }
  }
}
