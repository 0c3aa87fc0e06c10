public import Supervision

/// What a source of notices has to say.
public enum NoticeReport: Hashable, Sendable {
  case notice(PreemptionNotice)
  /// It may come to a notice: a rebalance recommendation, a short freeze.
  case warning(source: String, text: String)
  /// The notice of this event is taken back; of whichever there is, where it has no name.
  case cancelled(event: String = "")
  /// No notice will come until it recovers. Said once.
  case degraded(String)
  case recovered(String)
  /// Nobody asked for this source, and it is not there.
  case absent(String)
}
