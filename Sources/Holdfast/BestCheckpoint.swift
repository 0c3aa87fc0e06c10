public import SystemPackage

/// One of the best checkpoints by a metric, which a policy with `--keep-best` keeps.
public struct BestCheckpoint: Hashable, Sendable {
  /// Its directory, for `Checkpoint.load`. It is removed when better ones take its place.
  public let path: FilePath
  /// Step after which it was saved.
  public let step: UInt64
  /// The metric.
  public let monitor: String
  /// Its value.
  public let score: Double
  /// Whether it contains only components that are tensors alone, such as a model.
  public let weightsOnly: Bool
}
