/// The first replayed step that differed from its record. Written once, in the transaction that overwrites
/// the step's row, as the original values are lost then.
public struct Deviation: Hashable, Sendable, Codable {
  /// The attempt in which it was found.
  public var attempt: UInt64
  public var difference: ReplayAudit.Difference

  public init(attempt: UInt64, difference: ReplayAudit.Difference) {
    self.attempt = attempt
    self.difference = difference
  }
}
