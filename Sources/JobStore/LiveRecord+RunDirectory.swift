import POSIX
import Reporting
public import SystemPackage
import TrainerProtocol

/// A copy of the degradations in the run directory, for when the store cannot be written.
extension LiveRecord {
  public struct Degradation: Hashable, Sendable, Codable {
    /// The kind of a trainer without steps.
    public static let stall = "stall"

    public var kind: String
    public var text: String

    /// Whether it prevents durable checkpoints.
    public var preventsCheckpoints: Bool { ["checkpoints", "staging", "store"].contains(kind) }
  }

  private static let degradedName = "degraded.json"

  /// - Parameter reasons: messages by kind.
  public static func writeDegraded(_ reasons: [String: String], in directory: FilePath) throws(POSIXError) {
    let sorted = reasons.sorted { $0.key < $1.key }.map { Degradation(kind: $0.key, text: $0.value) }
    try FileSystem.replace(
      directory.appending(degradedName), with: JSON.encode(sorted), durable: false, clearing: true)
  }

  /// Degradations with their kinds, which are empty for an older supervisor.
  /// - Returns: nil if there is no readable file.
  public static func degradations(in directory: FilePath) -> [Degradation]? {
    guard let bytes = try? FileSystem.read(directory.appending(degradedName)) else { return nil }
    if let degradations: [Degradation] = JSON.decode(bytes) { return degradations }
    let texts: [String]? = JSON.decode(bytes)
    return texts?.map { Degradation(kind: "", text: $0) }
  }

  /// From the run directory or, without permission to read it, from this record.
  public var currentDegradations: [Degradation] {
    Self.degradations(in: FilePath(runDirectory))
      ?? degraded.map { Degradation(kind: $0 == stall ? Degradation.stall : "", text: $0) }
  }

  /// Changes whenever the file is written.
  public static func degradationChange(in directory: FilePath) -> UInt64 {
    FileSystem.modificationNanoseconds(directory.appending(degradedName)) ?? 0
  }
}
