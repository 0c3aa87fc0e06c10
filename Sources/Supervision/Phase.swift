/// What the supervisor is doing.
public enum Phase: String, Hashable, Sendable, CaseIterable {
  case idle
  /// An attempt is being started.
  case starting
  case running
  /// Asked to stop; waiting for the trainer's save.
  case saving
  /// The trainer was asked to exit, or reported that it exits.
  case terminating
  /// The trainer exited; its tree and its ring are being cleared.
  case clearing
  case backingOff
  /// No trainer is running; waiting for the last publication.
  case settling
  case done
}
