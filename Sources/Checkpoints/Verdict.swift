/// What was found when a checkpoint was looked at.
public enum Verdict: Hashable, Sendable {
  case verified(Manifest)
  /// The file that is wrong, and how.
  case damaged(file: String, what: String)

  public var manifest: Manifest? {
    if case .verified(let manifest) = self { return manifest }
    return nil
  }

  /// The file that is wrong, and how, in a few words; nil for a whole one.
  public var fault: String? {
    if case .damaged(let file, let what) = self { return "\(file): \(what)" }
    return nil
  }
}
