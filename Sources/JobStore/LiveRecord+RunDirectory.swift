import POSIX
public import SystemPackage
import TrainerProtocol

/// What is degraded, once more beside the ring: a store that cannot be written cannot say so itself.
extension LiveRecord {
  private static let degradedName = "degraded.json"

  public static func keepDegraded(_ texts: [String], in directory: FilePath) throws(POSIXError) {
    try FileSystem.replace(
      directory.appending(degradedName), with: JSON.encode(texts), durable: false, clearing: true)
  }

  /// - Returns: nil where there is none that may be read.
  public static func degraded(in directory: FilePath) -> [String]? {
    guard let bytes = try? FileSystem.read(directory.appending(degradedName)) else { return nil }
    return JSON.decode(bytes)
  }
}
