import Vocabulary

/// How the supervisor ends. Each case has its own exit status.
public enum Ending: Hashable, Sendable {
  case finished
  case stopped
  case gaveUp
  case commandNotFound
  case commandNotExecutable
  case cannotStart
  /// The job finished but its final state could not be made durable.
  case finalStateNotDurable
  /// A system call that the supervisor requires failed.
  case internalError
}
