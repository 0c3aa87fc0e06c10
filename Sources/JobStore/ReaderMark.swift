import POSIX
public import SystemPackage

/// Signals to the writer that the store is being read, by the access time of the job's `lock`. This is the
/// only thing that readers change, and it moves with the directory. Readers of other users cannot set it and
/// see the last group commit.
public enum ReaderMark {
  /// How long a read counts. `status --watch` reads every two seconds.
  private static let countsFor: UInt64 = 3_000_000_000

  private static func path(_ stateDirectory: FilePath) -> FilePath { stateDirectory.appending("lock") }

  public static func set(in stateDirectory: FilePath) { FileSystem.setAccessed(path(stateDirectory)) }

  /// - Returns: a function for the writer, called ten times per second: whether the store was read recently.
  public static func watch(_ stateDirectory: FilePath) -> @Sendable () -> Bool {
    let file = try? OpenFile(path(stateDirectory), .readOnly)
    return {
      guard let time = try? file?.accessNanoseconds() else { return false }
      let now = Clock.wallNanoseconds
      return time <= now && now - time < countsFor
    }
  }
}
