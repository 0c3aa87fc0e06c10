/// Why a checkpoint was made durable.
public enum CheckpointReason: Hashable, Sendable {
  /// The time since the last one was over.
  case interval(Duration)
  /// Its step is a multiple of this number.
  case steps(UInt64)
  /// It was saved at the end of an epoch whose number, from 1, is a multiple of this number.
  case epochs(UInt64)
  /// A person asked for it.
  case request
  /// The machine may be taken away.
  case preemption
  case stop
  case finish
  /// An attempt failed, or the supervisor gave up.
  case failure

  /// As it is stored: `interval=600s`, `steps=1000`, `request`.
  public var word: String {
    switch self {
    case .interval(let duration):
      let (seconds, attoseconds) = duration.components
      let milliseconds = attoseconds / 1_000_000_000_000_000
      return milliseconds == 0 ? "interval=\(seconds)s" : "interval=\(seconds * 1000 + milliseconds)ms"
    case .steps(let count): return "steps=\(count)"
    case .epochs(let count): return "epochs=\(count)"
    case .request: return "request"
    case .preemption: return "preemption"
    case .stop: return "stop"
    case .finish: return "finish"
    case .failure: return "failure"
    }
  }
}
