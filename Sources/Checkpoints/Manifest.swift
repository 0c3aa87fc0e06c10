import FoundationEssentials
public import Reporting
public import TrainerProtocol

/// `manifest.json` of a checkpoint: its metadata.
public struct Manifest: Hashable, Sendable, Codable {
  public static let currentVersion = 2
  /// Of a checkpoint with a state image, which every version can read.
  public static let imageVersion = 1

  public struct File: Hashable, Sendable, Codable {
    public var name: String
    public var bytes: UInt64
    /// nil: of an unknown algorithm.
    public var digest: Digest?

    public init(name: String, bytes: UInt64, digest: Digest) {
      self.name = name
      self.bytes = bytes
      self.digest = digest
    }

    enum CodingKeys: String, CodingKey {
      case name, bytes, digest, sha256
      case algorithm = "digest_algorithm"
    }

    public init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: CodingKeys.self)
      name = try container.decode(String.self, forKey: .name)
      bytes = try container.decode(UInt64.self, forKey: .bytes)
      digest = Digest(
        digest: try container.decodeIfPresent(String.self, forKey: .digest),
        algorithm: try container.decodeIfPresent(String.self, forKey: .algorithm),
        sha256: try container.decodeIfPresent(String.self, forKey: .sha256))
    }

    public func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(name, forKey: .name)
      try container.encode(bytes, forKey: .bytes)
      try container.encode(digest?.hexadecimal, forKey: .digest)
      try container.encode(digest?.algorithm.rawValue, forKey: .algorithm)
      // Older versions wrote only this one.
      try container.encode(
        digest?.algorithm == .sha256 ? digest?.hexadecimal : nil, forKey: .sha256)
    }
  }

  /// One rank's files. A job of one process has one rank.
  public struct Rank: Hashable, Sendable, Codable {
    public var rank: UInt32
    public var files: [String]
    /// A copy of the one in the image.
    public var loopState: ImageLoop?

    public init(rank: UInt32, files: [String], loopState: ImageLoop? = nil) {
      self.rank = rank
      self.files = files
      self.loopState = loopState
    }

    enum CodingKeys: String, CodingKey {
      case rank, files
      case loopState = "loop_state"
    }
  }

  public var formatVersion = Manifest.imageVersion
  public var job: String
  /// UUID of the job, 32 hexadecimal digits.
  public var jobID: String
  public var attempt: UInt64
  public var generation: UInt64
  public var cutID: String
  public var step: UInt64
  public var epoch: UInt64
  public var batch: UInt64
  public var samples: UInt64
  /// RFC 3339, UTC.
  public var createdAt: String
  /// Without non-finite values, which JSON does not have.
  public var metrics: [String: Double]
  public var hyperparameters: Hyperparameters = [:]
  public var worldSize: UInt32 = 1
  public var ranks: [Rank] = []
  public var files: [File] = []
  /// Whether it contains only components that are tensors alone; nil: it contains the whole state.
  public var weightsOnly: Bool?
  /// nil: the checkpoint has a state image.
  public var adopted: AdoptedContents?

  public init(
    job: String, jobID: String, attempt: UInt64, generation: UInt64, cutID: String, step: UInt64,
    epoch: UInt64, batch: UInt64, samples: UInt64, createdAt: String, metrics: [String: Double]
  ) {
    self.job = job
    self.jobID = jobID
    self.attempt = attempt
    self.generation = generation
    self.cutID = cutID
    self.step = step
    self.epoch = epoch
    self.batch = batch
    self.samples = samples
    self.createdAt = createdAt
    self.metrics = metrics.filter { $0.value.isFinite }
  }

  enum CodingKeys: String, CodingKey {
    case formatVersion = "format_version"
    case job
    case jobID = "job_id"
    case attempt, generation
    case cutID = "cut_id"
    case step, epoch, batch, samples
    case createdAt = "created_at"
    case metrics, hyperparameters
    case worldSize = "world_size"
    case ranks, files, adopted
    case weightsOnly = "weights_only"
  }

  func encoded() throws(CheckpointError) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .withoutEscapingSlashes
    let bytes: [UInt8]
    do {
      bytes = Array(try encoder.encode(self))
    } catch {
      throw CheckpointError(.unsupported, "\(error)")
    }
    guard let document = JSON.document(bytes, self) else {
      throw CheckpointError(.unsupported, "the manifest is not a JSON object")
    }
    var json = JSONText()
    document.writeIndented(to: &json)
    return json.bytes + [UInt8(ascii: "\n")]
  }

  /// - Returns: nil if the bytes are not a manifest.
  public static func decode(_ bytes: [UInt8]) -> Manifest? {
    let manifest = try? JSONDecoder().decode(Manifest.self, from: Data(bytes))
    return manifest.map { JSON.restoreExactMembers(of: $0, from: bytes) }
  }
}

extension Manifest: ExactJSON {
  public var exactMembers: [String: JSONValue] {
    get { ["hyperparameters": .object(hyperparameters)] }
    set { hyperparameters = newValue["hyperparameters"]?.object ?? hyperparameters }
  }
}
