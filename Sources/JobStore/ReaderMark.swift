import POSIX
public import SystemPackage

/// By which a reader shows the writer that it looks at the store: the time of access of the job's `lock`. Nothing else
/// of a job is changed by whoever only reads, and a directory that was moved takes it along. Another user's reader
/// cannot set it, and sees what the last group commit held.
public enum ReaderMark {
  /// How long a look counts. `status --watch` looks every two seconds.
  private static let countsFor: UInt64 = 3_000_000_000

  private static func path(_ stateDirectory: FilePath) -> FilePath { stateDirectory.appending("lock") }

  public static func set(in stateDirectory: FilePath) { FileSystem.setAccessed(path(stateDirectory)) }

  /// - Returns: for the writer: whether somebody looked a moment ago. It is asked ten times a second.
  public static func watch(_ stateDirectory: FilePath) -> @Sendable () -> Bool {
    let file = try? OpenFile(path(stateDirectory), .readOnly)
    return {
      guard let time = try? file?.accessNanoseconds() else { return false }
      let now = Clock.wallNanoseconds
      return time <= now && now - time < countsFor
    }
  }
}
