/// A cloud's notice that it will take this machine away.
public struct PreemptionNotice: Hashable, Sendable {
  /// Short name of the source: `AWS`.
  public var source: String
  /// The source's identifier of this event, if it has one.
  public var event: String
  /// What will happen, as the source words it: `terminate`, `Reboot`.
  public var action: String
  /// Since 1970 by the source's clock; nil: the source names no time.
  public var deadline: Duration?
  /// Time of the notice by the source's clock; nil: the source does not report it.
  public var saidAt: Duration?
  /// The longest lead that this kind of notice gives.
  public var longestLead: Duration
  /// The source stops waiting when the notice is acknowledged.
  public var wantsAcknowledgement: Bool

  public init(
    source: String, event: String = "", action: String, deadline: Duration? = nil, saidAt: Duration? = nil,
    longestLead: Duration, wantsAcknowledgement: Bool = false
  ) {
    self.source = source
    self.event = event
    self.action = action
    self.deadline = deadline
    self.saidAt = saidAt
    self.longestLead = longestLead
    self.wantsAcknowledgement = wantsAcknowledgement
  }

  /// Time left. The source's clock takes precedence over the local one, which may be wrong by hours on a machine
  /// that has just booted. Limited to `longestLead` in any case.
  public func lead(at now: Moment) -> Duration {
    guard let deadline else { return longestLead }
    return min(longestLead, max(.zero, deadline - (saidAt ?? now.wall)))
  }
}
