public import Supervision

/// A report from a source of notices.
public enum NoticeReport: Hashable, Sendable {
  case notice(PreemptionNotice)
  /// No preemption, but it may follow: a rebalance recommendation, a short freeze.
  case warning(source: String, text: String)
  /// The notice of this event was cancelled; with an empty name, that of any event.
  case cancelled(event: String = "")
  /// No notices until it recovers. Reported once.
  case degraded(String)
  case recovered(String)
  /// The detected source, which the user did not choose, is not available.
  case absent(String)
}
