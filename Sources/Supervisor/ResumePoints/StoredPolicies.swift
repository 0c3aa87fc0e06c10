public import Supervision

/// The policies of the newest supervisor, in the store for commands that show why a checkpoint is kept.
public struct StoredPolicies: Hashable, Sendable, Codable {
  public static let document = "checkpoint_policies"

  public var policies: [CheckpointPolicy]
  /// Whether checkpoints become durable without a request for one.
  public var isDurable: Bool

  public init(_ policy: Policy) {
    policies = policy.policies
    isDurable = policy.isDurable
  }

  /// What of them applies to copies of the trainer's own files.
  public var forCopies: StoredPolicies {
    var stored = self
    stored.policies = policies.prefix(1).map(\.forCopies)
    return stored
  }
}
