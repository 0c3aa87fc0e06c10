import Vocabulary

public enum TimerKind: String, Hashable, Sendable, CaseIterable {
  /// A staged checkpoint is due.
  case stage
  /// A durable checkpoint is due.
  case durable
  /// No step within the step timeout.
  case hang
  /// The requested save was not answered in time.
  case saveDeadline
  /// The trainer did not exit after SIGTERM, or its time to write stacks is over.
  case kill
  /// The grace time is over.
  case graceEnd
  /// The pause before the next attempt is over.
  case backoff
  /// The trainer must exit now to be done before the machine is taken away.
  case preemption
}
