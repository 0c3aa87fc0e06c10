import FoundationEssentials
import Glibc
import POSIX
public import SystemPackage

/// How a trainer finds its run directory.
public enum RunEnvironment {
  public static let runDirectory = "HOLDFAST_RUN_DIR"
  /// The job's id, by which what a trainer left behind is known.
  public static let jobID = "HOLDFAST_JOB_ID"
  public static let attempt = "HOLDFAST_ATTEMPT"
  public static let stateDirectory = "HOLDFAST_STATE_DIR"
  /// Which one that is: a copy at another place has the same job id, and a new job at the same place the
  /// same path.
  public static let stateID = "HOLDFAST_STATE_ID"

  public static let all = [runDirectory, jobID, attempt, stateDirectory, stateID]
}

/// Payload of the `attached` record.
public struct Attached: Hashable, Sendable, Codable {
  public var pid: Int32
  public var library: String
  public var totalSteps: UInt64?
  public var totalEpochs: UInt64?
  public var batchesPerEpoch: UInt64?
  public var hyperparameters: [String: Scalar]
  /// At this signal the trainer writes where each of its threads is into `StacksFile`. As it was
  /// said, and not to be sent unless `StacksOffer` finds it sane.
  public var stacksSignal: Int64?

  public init(
    pid: Int32, library: String, totalSteps: UInt64? = nil, totalEpochs: UInt64? = nil,
    batchesPerEpoch: UInt64? = nil, hyperparameters: [String: Scalar] = [:], stacksSignal: Int64? = nil
  ) {
    self.pid = pid
    self.library = library
    self.totalSteps = totalSteps
    self.totalEpochs = totalEpochs
    self.batchesPerEpoch = batchesPerEpoch
    self.hyperparameters = hyperparameters
    self.stacksSignal = stacksSignal
  }
}

/// Payload of the `failure` record: what the trainer knows of its own end.
public struct Failure: Hashable, Sendable, Codable {
  public var type: String
  public var message: String
  public var traceback: String?

  public init(type: String, message: String, traceback: String? = nil) {
    self.type = type
    self.message = message
    self.traceback = traceback
  }
}

/// `resume.json`: what an attempt starts from. Written before the trainer.
public struct ResumeFile: Hashable, Sendable, Codable {
  public static let name = "resume.json"
  public static let currentVersion = 1

  public struct Point: Hashable, Sendable, Codable {
    /// `staged`, `durable` or `snapshot`.
    public var level: String
    public var step: UInt64
    /// The file that holds the image…
    public var path: String
    /// …and where in it.
    public var offsetBytes: UInt64
    public var lengthBytes: UInt64
    public var cutID: String?

    // Spelled as the key strategies of `JSON` turn `…_id` back into camel case.
    enum CodingKeys: String, CodingKey {
      case level, step, path, offsetBytes, lengthBytes
      case cutID = "cutId"
    }

    public init(
      level: String, step: UInt64, path: String, offsetBytes: UInt64, lengthBytes: UInt64, cutID: String?
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
  public var hyperparameters: [String: Scalar]

  enum CodingKeys: String, CodingKey {
    case formatVersion, job, attempt, generation, worldSize, ranks, lastRecordedStep, skip, hyperparameters
    case jobID = "jobId"
  }

  public init(
    job: String, jobID: JobID, attempt: UInt64, generation: UInt64, point: Point?, lastRecordedStep: UInt64?,
    skip: [SkippedBatch], hyperparameters: [String: Scalar]
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
      throw ProtocolError(error, hint: "the run directory must be writable and have room")
    }
  }

  public static func read(in directory: FilePath) throws(ProtocolError) -> ResumeFile {
    let path = directory.appending(name)
    let hint = "start the trainer through holdfast run"
    let bytes: [UInt8]
    let isTooLarge: Bool
    do {
      // It is a few kilobytes; whatever is larger was not written by us, and is not read into memory.
      isTooLarge = try OpenFile(path, .readOnly).size() > largestBytes
      bytes = isTooLarge ? [] : try FileSystem.read(path)
    } catch {
      throw ProtocolError(error, hint: hint)
    }
    if isTooLarge { throw ProtocolError(.damaged, operation: "read (too large)", path: path, hint: hint) }
    // Alone first: of a newer format nothing else needs to be understood.
    if let version = (JSON.decode(bytes) as Version?)?.formatVersion, version > currentVersion {
      throw ProtocolError(
        .newerVersion, operation: "read (format \(version))", path: path,
        hint: "use the same version of holdfast for supervisor and trainer")
    }
    guard let file: ResumeFile = JSON.decode(bytes) else {
      throw ProtocolError(.damaged, operation: "parse", path: path, hint: hint)
    }
    return file
  }

  private struct Version: Decodable {
    var formatVersion: Int
  }

  private static let largestBytes = 64 << 20
}

/// JSON as every document of the project is written: keys in snake_case and sorted.
public enum JSON {
  public static func encode(_ value: some Encodable) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
    // Our documents are plain structs of plain values: the encoder has nothing to refuse.
    return Array((try? encoder.encode(value)) ?? Data())
  }

  /// - Returns: nil when the bytes are not such a document.
  public static func decode<Value: Decodable>(_ bytes: some Sequence<UInt8>) -> Value? {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
    return try? decoder.decode(Value.self, from: Data(bytes))
  }
}
