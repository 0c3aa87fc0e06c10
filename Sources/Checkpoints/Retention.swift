/// Selects checkpoints to remove. Invariants:
/// - The newest verified checkpoints are retained. A checkpoint is verified only after its files were read
///   and found intact.
/// - Damaged checkpoints are never removed, so each is read before its removal.
public enum Retention {
  /// Default number of verified checkpoints to retain.
  public static let keptByDefault = 2

  public enum Condition: Hashable, Sendable {
    /// Written or fully read by this process.
    case verified
    /// Not read since it was written by another process.
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
    /// Names of checkpoints to remove, oldest first.
    public var remove: [String] = []
    /// Names of checkpoints to remove after they were read and found intact, oldest first.
    public var read: [String] = []
    /// Step of the oldest verified checkpoint that is retained; nil if there is none.
    public var oldestKept: UInt64?
  }

  /// - Parameter keepLast: number of newest verified checkpoints to retain; at least one always is.
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
