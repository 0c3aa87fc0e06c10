import POSIX
public import Reporting
public import SystemPackage
public import Vocabulary

/// `resume.json`: what an attempt starts from. Written before the trainer.
public struct ResumeFile: Hashable, Sendable, Codable {
  public static let name = "resume.json"
  public static let currentVersion = 1

  public struct Point: Hashable, Sendable, Codable {
    public var level: Stored<Level>
    public var step: UInt64
    /// The file that holds the image…
    public var path: String
    /// …and where in it.
    public var offsetBytes: UInt64
    public var lengthBytes: UInt64
    public var cutID: String?
    /// Only the components that are weights are loaded, and the run begins at step 0; nil: all of it.
    public var weightsOnly: Bool?

    // Spelled as the key strategies of `JSON` turn `…_id` back into camel case.
    enum CodingKeys: String, CodingKey {
      case level, step, path, offsetBytes, lengthBytes, weightsOnly
      case cutID = "cutId"
    }

    public init(
      level: Stored<Level>, step: UInt64, path: String, offsetBytes: UInt64, lengthBytes: UInt64,
      cutID: String?
    ) {
      self.level = level
      self.step = step
      self.path = path
      self.offsetBytes = offsetBytes
      self.lengthBytes = lengthBytes
      self.cutID = cutID
    }
  }

  public struct SkippedBatch: Hashable, Sendable, Codable {
    public var epoch: UInt64
    public var batch: UInt64

    public init(epoch: UInt64, batch: UInt64) {
      self.epoch = epoch
      self.batch = batch
    }
  }

  /// One rank's share of the resume point. A job of one process has one.
  public struct Rank: Hashable, Sendable, Codable {
    public var rank: UInt32
    public var point: Point?

    public init(rank: UInt32, point: Point?) {
      self.rank = rank
      self.point = point
    }
  }

  public var formatVersion = ResumeFile.currentVersion
  public var job: String
  public var jobID: JobID
  public var attempt: UInt64
  public var generation: UInt64
  public var worldSize: UInt32 = 1
  public var ranks: [Rank]
  /// Newest step that was ever recorded: the replay window ends there.
  public var lastRecordedStep: UInt64?
  public var skip: [SkippedBatch]
  public var hyperparameters: Hyperparameters
  /// What `--set` changed, in this order; nil: nothing.
  public var hyperparameterChanges: [HyperparameterChange]?
  /// The directory on disk of arena slots that find no room in the run directory; nil: there is none.
  public var arenaDisk: String?

  enum CodingKeys: String, CodingKey {
    case formatVersion, job, attempt, generation, worldSize, ranks, lastRecordedStep, skip, hyperparameters
    case hyperparameterChanges, arenaDisk
    case jobID = "jobId"
  }

  public init(
    job: String, jobID: JobID, attempt: UInt64, generation: UInt64, point: Point?, lastRecordedStep: UInt64?,
    skip: [SkippedBatch], hyperparameters: Hyperparameters
  ) {
    self.job = job
    self.jobID = jobID
    self.attempt = attempt
    self.generation = generation
    ranks = [Rank(rank: 0, point: point)]
    self.lastRecordedStep = lastRecordedStep
    self.skip = skip
    self.hyperparameters = hyperparameters
  }

  /// Replaces the file in `directory`, atomically.
  public func write(in directory: FilePath) throws(ProtocolError) {
    do {
      try FileSystem.replace(
        directory.appending(Self.name), with: JSON.encode(self), durable: false, clearing: true)
    } catch {
      throw ProtocolError(
        "the resume point cannot be written", error, hint: "the run directory must be writable and have room")
    }
  }

  public static func read(in directory: FilePath) throws(ProtocolError) -> ResumeFile {
    let path = directory.appending(name)
    let hint: Hint = "start the trainer with 'holdfast run'"
    let bytes: [UInt8]
    let isTooLarge: Bool
    do {
      // It has a few kilobytes; a larger file was not written by the supervisor, and is not read into memory.
      isTooLarge = try OpenFile(path, .readOnly).size() > largestBytes
      bytes = isTooLarge ? [] : try FileSystem.read(path)
    } catch {
      throw ProtocolError("the resume point cannot be read", error, hint: hint)
    }
    if isTooLarge {
      throw ProtocolError(
        .damaged, "the resume point is damaged", path: path, why: "more than \(largestBytes) bytes",
        hint: hint)
    }
    // Alone first: of a newer format nothing else needs to be understood.
    if let version = (JSON.decode(bytes) as Version?)?.formatVersion, version > currentVersion {
      throw ProtocolError(
        .newerVersion, "the resume point has a newer format", path: path,
        why: "format \(version); this library reads up to \(currentVersion)",
        hint: "use the same version of holdfast for supervisor and trainer")
    }
    guard let file: ResumeFile = JSON.decode(bytes) else {
      throw ProtocolError(.damaged, "the resume point is damaged", path: path, hint: hint)
    }
    return file
  }

  private struct Version: Decodable {
    var formatVersion: Int
  }

  private static let largestBytes = 64 << 20
}

extension ResumeFile: HyperparameterDocument {}
