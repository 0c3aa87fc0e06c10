/// The result of verifying a checkpoint.
public enum Verdict: Hashable, Sendable {
  case verified(Manifest)
  /// The damaged file and its damage.
  case damaged(file: String, what: String)

  public var manifest: Manifest? {
    if case .verified(let manifest) = self { return manifest }
    return nil
  }

  /// Describes the damaged file and its damage; nil if verified.
  public var fault: String? {
    if case .damaged(let file, let what) = self { return "\(file): \(what)" }
    return nil
  }
}
