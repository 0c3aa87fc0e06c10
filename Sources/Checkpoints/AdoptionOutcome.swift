/// The result of copying a file that another program wrote into a checkpoint.
public enum AdoptionOutcome: Sendable {
  case published(PublishedCheckpoint)
  /// The newest checkpoint has the same bytes.
  case same
  /// It was written to meanwhile.
  case changed
  /// It is incomplete, and what is missing.
  case incomplete(String)
}
