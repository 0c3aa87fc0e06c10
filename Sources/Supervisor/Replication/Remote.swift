import POSIX
import Reporting
import Storage
import SystemPackage

/// The remote storage of one job.
public struct Remote: Sendable {
  public let storage: any CheckpointStorage
  /// For the heartbeat and the history; nil: the storage has only checkpoints.
  public let objects: (any ObjectStorage)?
  let settings: RemoteSettings

  /// - Parameters:
  ///   - job: its name, below the place.
  ///   - environment: of the programs that access the storage, `NAME=value`.
  public init(_ settings: RemoteSettings, job: String, environment: [String]) throws(StorageError) {
    self.settings = settings
    if settings.place.hasPrefix("command:") {
      let program = String(settings.place.dropFirst("command:".count))
      storage = CommandStorage([program], environment: environment + ["HOLDFAST_JOB=\(job)"])
      objects = nil
    } else if settings.place.hasPrefix("/") {
      let directory = DirectoryStorage(FilePath(settings.place).appending(job))
      (storage, objects) = (directory, directory)
    } else {
      var options = RcloneStorage.Options()
      options.bytesPerSecond = settings.bytesPerSecond
      let rclone = RcloneStorage(
        try RcloneRemote(settings.place).appending(job), environment: environment, options: options)
      (storage, objects) = (rclone, rclone)
    }
  }

  static let heartbeat = Self.key("heartbeat")
  static let history = Self.key("history")

  private static func key(_ text: String) -> StorageKey {
    guard let key = StorageKey(text) else { preconditionFailure("\(text) is a valid key") }
    return key
  }
}
