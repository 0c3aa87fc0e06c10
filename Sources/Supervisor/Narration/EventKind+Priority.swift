import Systemd
import Vocabulary

extension EventKind {
  /// Journal priority of an event that is not a warning.
  var priority: Journal.Priority {
    switch self {
    case .finalStateLost, .gaveUp, .internalError, .startFailed: .error
    case .attemptEnded, .attemptOrphaned, .finished, .preempted, .preemptionCancelled, .preemptionLeaving,
      .stopRequested:
      .notice
    default: .info
    }
  }
}
