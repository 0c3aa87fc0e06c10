public import Supervision

extension CheckpointPolicy {
  /// Settings that do not fit together, in the words of a file; nil: none.
  public var mistake: String? {
    if keepBest > 0, monitor == nil { return "keep-best needs monitor, the name of a metric" }
    if monitor != nil, keepBest == 0 { return "monitor needs keep-best, the number of checkpoints to keep" }
    return nil
  }
}
