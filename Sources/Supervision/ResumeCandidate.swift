/// A resume point that an attempt could start from, and what is known about its condition.
public struct ResumeCandidate: Hashable, Sendable {
  public enum Condition: Hashable, Sendable {
    /// All bytes are as written, or there is nothing to compare them with.
    case whole
    /// Its structure is valid; it was not read in full.
    case unread
    case damaged
  }

  public var point: ResumePoint
  public var condition: Condition

  public init(_ point: ResumePoint, _ condition: Condition) {
    self.point = point
    self.condition = condition
  }
}
