import CSpawn
import Glibc
public import SystemPackage

/// A cgroup (version 2) of our own below the one that systemd delegated to us, so that all of a
/// trainer's processes can be killed by one write, wherever they fork themselves to.
public struct Cgroup: Sendable {
  public let path: FilePath

  /// - Returns: nil where our cgroup is not ours to divide: not version 2, not delegated
  ///   (`Delegate=yes` marks it), not writable.
  public static func delegated(name: String) -> Cgroup? {
    guard let own = ownPath(), isDelegated(own) else { return nil }
    let path = own.appending(name)
    guard (try? FileSystem.makeDirectories(path, mode: 0o755)) != nil,
      FileSystem.exists(path.appending("cgroup.kill"))
    else { return nil }
    return Cgroup(path: path)
  }

  private static func ownPath() -> FilePath? {
    guard let bytes = try? FileSystem.read("/proc/self/cgroup") else { return nil }
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    guard let unified = lines.first(where: { $0.hasPrefix("0::/") }) else { return nil }
    for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
      let path = FilePath(root + unified.dropFirst(3))
      if FileSystem.exists(path.appending("cgroup.procs")) { return path }
    }
    return nil
  }

  private static func isDelegated(_ path: FilePath) -> Bool {
    ["user.delegate", "trusted.delegate"].contains { name in
      var value: UInt8 = 0
      return path.withPlatformString { getxattr($0, name, &value, 1) } == 1 && value == UInt8(ascii: "1")
    }
  }

  /// For a child to write itself into before exec.
  public func openProcs() throws(POSIXError) -> OpenFile {
    try OpenFile(path.appending("cgroup.procs"), O_WRONLY)
  }

  /// Sends SIGKILL to every process in it.
  public func kill() throws(POSIXError) {
    try OpenFile(path.appending("cgroup.kill"), O_WRONLY).write(all: Array("1".utf8))
  }

  public var isPopulated: Bool {
    guard let bytes = try? FileSystem.read(path.appending("cgroup.events")) else { return false }
    return String(decoding: bytes, as: UTF8.self).contains("populated 1")
  }
}
