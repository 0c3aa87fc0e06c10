/// What an attempt left: determined when its whole tree is gone and its ring is drained.
public struct Remains: Hashable, Sendable {
  public var resume: ResumePoint
  /// Newest recorded step, nil when the attempt recorded none.
  public var progress: Progress?
  public var slots: [SlotContent]
  /// The failure that the trainer reported, if it did.
  public var failure: FailurePlace?
  /// The furthest step that any attempt of the job recorded.
  public var furthest: UInt64

  public init(
    resume: ResumePoint, progress: Progress?, slots: [SlotContent], failure: FailurePlace? = nil,
    furthest: UInt64 = 0
  ) {
    self.resume = resume
    self.progress = progress
    self.slots = slots
    self.failure = failure
    self.furthest = furthest
  }
}
