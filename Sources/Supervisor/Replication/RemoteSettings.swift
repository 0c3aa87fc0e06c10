import Reporting
import Storage

/// Where checkpoints are replicated, and how.
public struct RemoteSettings: Hashable, Sendable {
  /// `s3:bucket/jobs` of rclone, `/mnt/backup/jobs`, or `command:PROGRAM`.
  public var place: String
  /// Least time between two replicated checkpoints; zero: each is replicated.
  public var interval = Duration.zero
  /// Number of the newest replicated checkpoints to keep, at least 1.
  public var keepLast = 3
  /// Of all transfers together; nil: no limit.
  public var bytesPerSecond: UInt64?
  /// Between two heartbeats, by which another machine notices that this one runs the job.
  public var heartbeat = Duration.seconds(20)

  public init(place: String) {
    self.place = place
  }

  /// Why a place cannot be used; nil: it can be. Without quoting it, which may contain credentials.
  public static func fault(ofPlace place: String) -> String? {
    if place.hasPrefix("command:") || place.hasPrefix("/") { return nil }
    do throws(StorageError) {
      guard try !RcloneRemote(place).hasParameters else {
        return
          "it has parameters, which every user can read; name a configured remote, such as s3:bucket/jobs "
          + "(rclone config, or variables RCLONE_CONFIG_S3_…)"
      }
      guard place.contains(":") else {
        return "it is not a remote of rclone, such as s3:bucket/jobs, an absolute path, or command:PROGRAM"
      }
      return nil
    } catch {
      return error.what
    }
  }
}
