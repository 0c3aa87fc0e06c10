/// What a cloud says of the end of this machine.
public struct PreemptionNotice: Hashable, Sendable {
  /// Who says it, in a word: `AWS`.
  public var source: String
  /// The source's own name of this event, where events have one.
  public var event: String
  /// What is going to happen, in the source's words: `terminate`, `Reboot`.
  public var action: String
  /// Since 1970 by the source's clock; nil: the source names no time.
  public var deadline: Duration?
  /// What the source's clock showed when it said so, where it tells.
  public var saidAt: Duration?
  /// The most time that such a notice ever leaves.
  public var longestLead: Duration
  /// The source waits no longer once it is told that we are ready.
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

  /// Time that is left. The source's own clock is believed before ours, which may be wrong by hours on
  /// a machine that has just booted; whatever either says, no notice leaves more than its longest lead.
  public func lead(at now: Moment) -> Duration {
    guard let deadline else { return longestLead }
    return min(longestLead, max(.zero, deadline - (saidAt ?? now.wall)))
  }
}
