/// What an arena slot holds.
public enum SlotContent: Hashable, Sendable {
  case empty
  case complete(step: UInt64)
}
