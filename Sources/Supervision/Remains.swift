/// What an attempt left: determined when its whole tree is gone and its ring is drained.
public struct Remains: Hashable, Sendable {
  public var resume: ResumePoint
  /// Newest recorded step, nil when the attempt recorded none.
  public var progress: Progress?
  public var slots: [SlotContent]
  /// The number, from 1, of the epoch at whose end the newest of them was saved; 0: elsewhere, or by an attempt of this
  /// supervisor.
  public var completedEpochs: UInt64
  /// The failure that the trainer reported, if it did.
  public var failure: FailurePlace?
  /// The furthest step that any attempt of the job recorded.
  public var furthest: UInt64

  public init(
    resume: ResumePoint, progress: Progress?, slots: [SlotContent], completedEpochs: UInt64 = 0,
    failure: FailurePlace? = nil, furthest: UInt64 = 0
  ) {
    self.resume = resume
    self.progress = progress
    self.slots = slots
    self.completedEpochs = completedEpochs
    self.failure = failure
    self.furthest = furthest
  }
}
