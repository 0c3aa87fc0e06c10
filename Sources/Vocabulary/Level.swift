/// Where a checkpoint is stored, and so what it survives. Stored and shown as JSON: the raw values never change.
public enum Level: String, Hashable, Sendable, Codable, CaseIterable {
  /// A full snapshot in the store.
  case snapshot = "snapshot"
  /// In the arena: survives the death of trainer and supervisor.
  case staged = "staged"
  /// On local disk, fsynced: survives power loss.
  case durable = "durable"
  /// A copy of a file that the trainer wrote itself, on local disk. Its step is the number of the copy.
  case adopted = "adopted"
}
