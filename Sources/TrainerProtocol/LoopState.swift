/// The state that a loop needs, besides its weights, to continue bit-identically.
public struct LoopState: Hashable, Sendable {
  public enum Phase: UInt8, Hashable, Sendable {
    case training = 0
    case validation = 1
    case other = 2
  }

  /// The state of one random stream or sampler, as the trainer encodes it.
  public struct Part: Hashable, Sendable, Codable {
    public enum Kind: UInt8, Hashable, Sendable, Codable {
      case rng = 1
      case sampler = 2
      case other = 3
    }

    public var kind: Kind
    /// At most 255 bytes of UTF-8.
    public var name: String
    public var bytes: [UInt8]

    public init(kind: Kind, name: String, bytes: [UInt8]) {
      self.kind = kind
      self.name = name
      self.bytes = bytes
    }
  }

  public var epoch: UInt64
  /// Batches consumed in this epoch.
  public var batch: UInt64
  /// Samples consumed in the whole run, by all ranks.
  public var samples: UInt64
  public var phase: Phase
  public var parts: [Part]

  public init(
    epoch: UInt64 = 0, batch: UInt64 = 0, samples: UInt64 = 0, phase: Phase = .training, parts: [Part] = []
  ) {
    self.epoch = epoch
    self.batch = batch
    self.samples = samples
    self.phase = phase
    self.parts = parts
  }
}
