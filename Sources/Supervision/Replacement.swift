/// The replacement of a damaged resume point.
public struct Replacement: Hashable, Sendable {
  public var damaged: ResumePoint
  public var next: ResumePoint
  public var slots: [SlotContent]
  /// Step of the newest durable checkpoint that is not damaged, 0 for none.
  public var durableStep: UInt64

  public init(damaged: ResumePoint, next: ResumePoint, slots: [SlotContent], durableStep: UInt64) {
    self.damaged = damaged
    self.next = next
    self.slots = slots
    self.durableStep = durableStep
  }
}
