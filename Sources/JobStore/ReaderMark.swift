import POSIX
public import SystemPackage

/// By which a reader shows the writer that it looks at the store: the time of access of the job's `lock`. Nothing else
/// of a job is changed by whoever only reads, and a directory that was moved takes it along. Another user's reader
/// cannot set it, and sees what the last group commit held.
public struct ReaderMark: Sendable {
  private let path: FilePath

  /// How long a look counts. `status --watch` looks every two seconds.
  private static let countsFor: UInt64 = 3_000_000_000

  public init(stateDirectory: FilePath) { path = stateDirectory.appending("lock") }

  public func set() { FileSystem.setAccessed(path) }

  /// Whether somebody looked a moment ago.
  public var isFresh: Bool {
    guard let time = FileSystem.accessNanoseconds(path) else { return false }
    let now = Clock.wallNanoseconds
    return time <= now && now - time < Self.countsFor
  }
}
