public import Checkpoints

/// A complete checkpoint in a storage.
public struct StoredCheckpoint: Hashable, Sendable {
  public var key: StorageKey
  /// Nil if the storage does not return it, as a program that lists only keys.
  public var manifest: Manifest?
  /// Size of all files; nil if unknown.
  public var bytes: UInt64?
  /// Why it cannot be loaded, as far as the listing shows that: a missing or truncated file.
  public var fault: String?

  public init(key: StorageKey, manifest: Manifest? = nil, bytes: UInt64? = nil, fault: String? = nil) {
    self.key = key
    self.manifest = manifest
    self.bytes = bytes
    self.fault = fault
  }

  /// Whether no attempt can start from it, by the manifest or else by a name such as `step-48700-weights`.
  public var isWeightsOnly: Bool { manifest.map { $0.weightsOnly == true } ?? key.name.hasSuffix("-weights") }

  /// Its step, by the manifest or else by a name such as `step-48700`.
  public var step: UInt64? {
    if let manifest { return manifest.step }
    let parts = key.name.split(separator: "-")
    return parts.count > 1 && parts[0] == "step" ? UInt64(parts[1]) : nil
  }
}
