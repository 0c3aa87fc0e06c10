/// Which checkpoints may go. Damaged ones are in nobody's way and are never named.
public enum Retention {
  /// - Parameter keepLast: how many of the newest verified ones stay; at least one always does.
  /// - Returns: names of verified checkpoints older than those, oldest first.
  public static func prunable(_ found: [(name: String, verdict: Verdict)], keepLast: Int) -> [String] {
    let verified = found.compactMap { found in found.verdict.manifest.map { (found.name, $0) } }
    let newestFirst = verified.sorted { a, b in
      (a.1.step, a.1.generation, a.1.createdAt, a.0) > (b.1.step, b.1.generation, b.1.createdAt, b.0)
    }
    return newestFirst.dropFirst(max(1, keepLast)).reversed().map(\.0)
  }
}

extension LocalCheckpoints {
  /// The same for what is on disk.
  /// - Parameter thorough: as for `verify`. Without it a flipped bit in a kept one goes unnoticed.
  public func prunable(keepLast: Int, thorough: Bool = true) throws(CheckpointError) -> [String] {
    Retention.prunable(
      try names().map { ($0, verify($0, thorough: thorough)) }, keepLast: keepLast)
  }
}
