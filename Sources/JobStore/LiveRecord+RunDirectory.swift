import POSIX
import Reporting
public import SystemPackage
import TrainerProtocol

/// What is degraded, once more beside the ring: a store that cannot be written cannot say so itself.
extension LiveRecord {
  public struct Degradation: Hashable, Sendable, Codable {
    public var kind: String
    public var text: String

    /// Whether no checkpoint can be made durable because of it.
    public var preventsCheckpoints: Bool { ["checkpoints", "staging", "store"].contains(kind) }
  }

  private static let degradedName = "degraded.json"

  /// - Parameter reasons: sentences, by what is degraded.
  public static func keepDegraded(_ reasons: [String: String], in directory: FilePath) throws(POSIXError) {
    let sorted = reasons.sorted { $0.key < $1.key }.map { Degradation(kind: $0.key, text: $0.value) }
    try FileSystem.replace(
      directory.appending(degradedName), with: JSON.encode(sorted), durable: false, clearing: true)
  }

  /// - Returns: nil where there is none that may be read.
  public static func degraded(in directory: FilePath) -> [String]? {
    degradations(in: directory)?.map(\.text)
  }

  /// What is degraded, and of which kind; those of an older supervisor have none.
  public static func degradations(in directory: FilePath) -> [Degradation]? {
    guard let bytes = try? FileSystem.read(directory.appending(degradedName)) else { return nil }
    if let degradations: [Degradation] = JSON.decode(bytes) { return degradations }
    let texts: [String]? = JSON.decode(bytes)
    return texts?.map { Degradation(kind: "", text: $0) }
  }

  /// Is another one whenever that was written again.
  public static func degradationChange(in directory: FilePath) -> UInt64 {
    FileSystem.modificationNanoseconds(directory.appending(degradedName)) ?? 0
  }
}
