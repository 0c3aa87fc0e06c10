public enum TrainerSignal: Hashable, Sendable {
  /// The signal that the trainer offered, at which it writes its stacks.
  case stacks
  case terminate, kill
}
