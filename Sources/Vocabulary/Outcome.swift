/// How an attempt ended. Stored and shown as JSON: the raw values never change.
public enum Outcome: String, Hashable, Sendable, CaseIterable {
  case finished = "finished"
  case stopped = "stopped"
  case failed = "failed"
}
