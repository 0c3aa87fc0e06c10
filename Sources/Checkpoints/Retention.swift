/// Which checkpoints may go. Invariants:
/// - The newest verified ones stay, and only what was read and found whole counts as verified.
/// - Damaged ones are in nobody's way and never go; so one is read before it goes.
public enum Retention {
  /// Newest verified checkpoints that stay where nobody says otherwise.
  public static let keptByDefault = 2

  public enum Condition: Hashable, Sendable {
    /// Written, or read in full, by whoever asks.
    case verified
    /// Nobody has looked at its bytes yet.
    case unread
    case damaged
  }

  public struct Listed: Hashable, Sendable {
    public var name: String
    public var step: UInt64
    public var condition: Condition

    public init(name: String, step: UInt64, condition: Condition) {
      self.name = name
      self.step = step
      self.condition = condition
    }
  }

  public struct Plan: Hashable, Sendable {
    /// Names of those that may go, oldest first.
    public var remove: [String] = []
    /// Names of those that may go once they were read and are whole, oldest first.
    public var read: [String] = []
    /// Step of the oldest that stays and can be resumed from; nil when none is verified.
    public var oldestKept: UInt64?
  }

  /// - Parameter keepLast: how many of the newest verified ones stay; at least one always does.
  public static func plan(_ listed: [Listed], keepLast: Int) -> Plan {
    var plan = Plan()
    var kept = 0
    for one in listed.sorted(by: { ($0.step, $0.name) > ($1.step, $1.name) }) {
      let isBeyond = kept >= max(1, keepLast)
      switch one.condition {
      case .damaged: continue
      case .verified where isBeyond: plan.remove.append(one.name)
      case .unread where isBeyond: plan.read.append(one.name)
      case .verified:
        kept += 1
        plan.oldestKept = one.step
      case .unread:
        continue
      }
    }
    plan.remove.reverse()
    plan.read.reverse()
    return plan
  }
}
