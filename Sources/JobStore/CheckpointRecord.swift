import Reporting
public import TrainerProtocol

/// A durable checkpoint. Recorded only after its files are durable.
public struct CheckpointRecord: Hashable, Sendable, Codable {
  public var name: String
  public var step: UInt64
  public var cut: CutID
  public var attempt: UInt64
  public var epoch: UInt64
  public var batch: UInt64
  public var bytes: UInt64
  /// Of the image; hexadecimal digits. nil in records of older versions, which have `sha256`.
  public var digest: String?
  /// `xxh128` or `sha256`.
  public var digestAlgorithm: String?
  /// nil in records of newer versions, unless that is the algorithm.
  public var sha256: String?
  public var createdAtNs: UInt64
  public var tookNs: UInt64
  public var metrics: [String: Double]
  /// Why it was saved, `CheckpointReason.word`; nil: by a version that did not record this.
  public var savedFor: [String]?
  /// It contains only components that are tensors alone; nil: it contains the whole state.
  public var weightsOnly: Bool?
  /// When the remote storage had all of it; nil: it is not known to.
  public var replicatedAtNs: UInt64?
  /// Its damage; nil if none is known.
  public var damage: String?
  /// When it was last read in full and its digest matched.
  public var verifiedAtNs: UInt64?

  /// Whether an attempt can start from it.
  public var isWhole: Bool { weightsOnly != true }

  public init(
    name: String, step: UInt64, cut: CutID, attempt: UInt64, epoch: UInt64, batch: UInt64, bytes: UInt64,
    digest: String, digestAlgorithm: String, createdAtNs: UInt64, tookNs: UInt64, metrics: [String: Double]
  ) {
    self.name = name
    self.step = step
    self.cut = cut
    self.attempt = attempt
    self.epoch = epoch
    self.batch = batch
    self.bytes = bytes
    self.digest = digest
    self.digestAlgorithm = digestAlgorithm
    if digestAlgorithm == "sha256" { sha256 = digest }
    self.createdAtNs = createdAtNs
    self.tookNs = tookNs
    self.metrics = metrics
  }
}
