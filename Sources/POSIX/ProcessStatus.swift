import Glibc
import SystemPackage

/// What /proc/PID/stat says of a process: proc_pid_stat(5).
public struct ProcessStatus: Hashable, Sendable {
  public var identity: ProcessIdentity
  public var parent: pid_t
  public var session: pid_t
  /// Whether its session has a controlling terminal: somebody may sit at it.
  public var hasTerminal: Bool
  /// It has ended, and its parent has not taken note of it yet.
  public var isZombie: Bool

  public var pid: pid_t { identity.pid }

  public init(
    _ identity: ProcessIdentity, parent: pid_t, session: pid_t, hasTerminal: Bool = false,
    isZombie: Bool = false
  ) {
    self.identity = identity
    self.parent = parent
    self.session = session
    self.hasTerminal = hasTerminal
    self.isZombie = isZombie
  }

  /// - Returns: nil when there is no such process.
  /// - Throws: when /proc does not say.
  public static func read(_ pid: pid_t) throws(POSIXError) -> ProcessStatus? {
    let path = FilePath("/proc/\(pid)/stat")
    let bytes: [UInt8]
    do {
      bytes = try FileSystem.read(path)
    } catch {
      if error.errno == .noSuchFileOrDirectory || error.errno == .noSuchProcess { return nil }
      throw error
    }
    // The second field is the name in parentheses and may itself hold spaces and parentheses.
    let text = String(decoding: bytes, as: UTF8.self)
    let fields = text.lastIndex(of: ")").map { text[$0...].dropFirst().split(separator: " ") } ?? []
    guard fields.count > 19, let parent = pid_t(fields[1]), let session = pid_t(fields[3]),
      let terminal = Int64(fields[4]), let threads = Int64(fields[17]), let startTime = UInt64(fields[19])
    else { throw POSIXError("read", path: path, errno: .badMessage) }
    return ProcessStatus(
      ProcessIdentity(pid: pid, startTime: startTime), parent: parent, session: session,
      hasTerminal: terminal != 0,
      // One whose first thread has ended before the others looks the same, and lives.
      isZombie: (fields[0] == "Z" && threads <= 1) || fields[0] == "X")
  }
}
