import Glibc
import SystemPackage

/// The contents of /proc/PID/stat: proc_pid_stat(5).
public struct ProcessStatus: Hashable, Sendable {
  public var identity: ProcessIdentity
  public var parent: pid_t
  public var session: pid_t
  /// Whether its session has a controlling terminal, and so may be interactive.
  public var hasTerminal: Bool
  /// Whether it has ended but was not reaped yet.
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

  /// - Returns: nil when the process does not exist.
  /// - Throws: /proc cannot be read.
  public static func read(_ pid: pid_t) throws(POSIXError) -> ProcessStatus? {
    let path = FilePath("/proc/\(pid)/stat")
    let bytes: [UInt8]
    do {
      bytes = try FileSystem.read(path)
    } catch {
      if error.errno == .noSuchFileOrDirectory || error.errno == .noSuchProcess { return nil }
      throw error
    }
    // The second field is the name in parentheses, which may contain spaces and parentheses.
    let text = String(decoding: bytes, as: UTF8.self)
    let fields = text.lastIndex(of: ")").map { text[$0...].dropFirst().split(separator: " ") } ?? []
    guard fields.count > 19, let parent = pid_t(fields[1]), let session = pid_t(fields[3]),
      let terminal = Int64(fields[4]), let threads = Int64(fields[17]), let startTime = UInt64(fields[19])
    else { throw POSIXError("read", path: path, errno: .badMessage) }
    return ProcessStatus(
      ProcessIdentity(pid: pid, startTime: startTime), parent: parent, session: session,
      hasTerminal: terminal != 0,
      // A process whose first thread ended before the others has state Z too, but is running.
      isZombie: (fields[0] == "Z" && threads <= 1) || fields[0] == "X")
  }
}
