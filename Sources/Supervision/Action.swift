/// Everything that the core requests from the runtime. Actions are performed in order.
public enum Action: Hashable, Sendable {
  /// Record the attempt durably, write ring and `resume.json`, spawn.
  /// - Parameter request: for a moment ahead, in place before the trainer makes its first step.
  case start(attempt: UInt64, from: ResumePoint, skips: [BatchPosition], request: FirstRequest? = nil)
  /// - Parameter target: when the state is to be saved; nil: at the next step.
  case request(RequestKind, sequence: UInt64, slot: Int, target: SaveTarget? = nil, deadline: Duration?)
  /// The slot that `finish()` may fill without a request.
  case offer(slot: Int?)
  case publish(slot: Int, step: UInt64, Set<CheckpointReason>)
  /// Record further reasons for the checkpoint of a step that is durable or being published.
  case mark(step: UInt64, Set<CheckpointReason>)
  /// Stop the running publication at its next chunk.
  case cancelPublishing
  case signal(TrainerSignal)
  /// Kill the remaining processes of the tree, drain the ring, then send `cleared`.
  case clear
  case arm(TimerKind, at: Duration)
  case disarm(TimerKind)
  case note(Note)
  /// Write `standing` to the store.
  case persistStanding
  /// Acknowledge the notice: its source need not wait any longer.
  case acknowledge(PreemptionNotice)
  case end(Ending)
}
