import POSIX
import Reporting
public import SystemPackage

/// `best.json`: the best checkpoints of each policy that ranks them, for the trainer. The supervisor replaces it when
/// they change, and when it has handled a report of the trainer that may change them.
public struct BestCheckpoints: Hashable, Sendable, Codable {
  public static let name = "best.json"
  public static let currentVersion = 1

  public struct Checkpoint: Hashable, Sendable, Codable {
    /// Its directory.
    public var path: String
    public var step: UInt64
    /// The value of the metric.
    public var score: Double

    public init(path: String, step: UInt64, score: Double) {
      self.path = path
      self.step = step
      self.score = score
    }
  }

  public struct Policy: Hashable, Sendable, Codable {
    /// Name of the metric.
    public var monitor: String
    /// `min` or `max`.
    public var mode: String
    /// Whether its checkpoints contain only components that are tensors alone.
    public var weightsOnly: Bool
    /// Best first; without those that lack the metric.
    public var checkpoints: [Checkpoint]

    public init(monitor: String, mode: String, weightsOnly: Bool, checkpoints: [Checkpoint]) {
      self.monitor = monitor
      self.mode = mode
      self.weightsOnly = weightsOnly
      self.checkpoints = checkpoints
    }
  }

  public var formatVersion = BestCheckpoints.currentVersion
  /// That is running, or was last. The next three fields are about its reports.
  public var attempt: UInt64
  /// Answers to requests up to this sequence are handled.
  public var answered: UInt64 = 0
  /// Number of its records of metrics after a step that are handled.
  public var logged: UInt64 = 0
  /// Step of its record that the run is complete, if that is handled.
  public var finishedStep: UInt64?
  /// Step of the checkpoint that is being written.
  public var publishingStep: UInt64?
  public var policies: [Policy] = []

  public init(attempt: UInt64) { self.attempt = attempt }

  /// Replaces the file in `directory`, atomically.
  public func write(in directory: FilePath) throws(POSIXError) {
    try FileSystem.replace(
      directory.appending(Self.name), with: JSON.encode(self), durable: false, clearing: true)
  }

  /// - Returns: nil if there is none, as with an older supervisor, or it is damaged.
  public static func read(in directory: FilePath) -> BestCheckpoints? {
    let path = directory.appending(name)
    guard let size = try? OpenFile(path, .readOnly).size(), size <= largestBytes,
      let bytes = try? FileSystem.read(path), let best: BestCheckpoints = JSON.decode(bytes),
      best.formatVersion <= currentVersion
    else { return nil }
    return best
  }

  private static let largestBytes = 64 << 20
}
