/// That the run is not the undisturbed one: a step that was made again was another. Written once, in the
/// transaction that took the step's row: what it was before is known no more from then on.
public struct Deviation: Hashable, Sendable, Codable {
  /// In which it was found.
  public var attempt: UInt64
  public var difference: ReplayAudit.Difference

  public init(attempt: UInt64, difference: ReplayAudit.Difference) {
    self.attempt = attempt
    self.difference = difference
  }
}
