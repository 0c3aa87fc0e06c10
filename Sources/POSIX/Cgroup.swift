import CSpawn
import Glibc
public import SystemPackage

/// A cgroup (version 2) below the one that systemd delegated to this process. One write kills all of a trainer's
/// processes, whatever they forked, and the kernel accounts for them separately.
public struct Cgroup: Sendable {
  public let path: FilePath

  /// Splits the cgroup of this process into two leaves: this process moves into one, the other is for children.
  /// A cgroup that passes controllers to its children may not contain processes (cgroups(7), "no internal
  /// processes").
  /// - Returns: that of the children; nil if the cgroup cannot be split: not version 2, not delegated
  ///   (`Delegate=yes` marks it), not writable.
  public static func split(own ownLeaf: String, children: String) -> Cgroup? {
    guard let own = own, isDelegated(own.path) else { return nil }
    let leaf = own.path.appending(ownLeaf)
    let path = own.path.appending(children)
    do throws(POSIXError) {
      for path in [leaf, path] { try FileSystem.makeDirectories(path, mode: 0o755) }
      guard FileSystem.exists(path.appending("cgroup.kill")) else { return nil }
      try write("0", to: leaf.appending("cgroup.procs"))
    } catch {
      return nil
    }
    // This fails if version 1 has the controller, or another process is still in the cgroup. Then only the parent
    // counts the trainer's memory, together with others.
    try? write("+memory", to: own.path.appending("cgroup.subtree_control"))
    return Cgroup(path: path)
  }

  /// The cgroup of this process; nil without cgroup version 2.
  public static var own: Cgroup? {
    guard let name = membership("0::") else { return nil }
    for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
      let path = FilePath(root + name)
      if FileSystem.exists(path.appending("cgroup.procs")) { return Cgroup(path: path) }
    }
    return nil
  }

  /// The name of this process's cgroup in `hierarchy`: a version 1 controller, or `0::` for version 2.
  static func membership(_ hierarchy: String) -> String? {
    guard let bytes = try? FileSystem.read("/proc/self/cgroup") else { return nil }
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3, parts[2].hasPrefix("/") else { continue }
      let isWanted =
        hierarchy == "0::" ? parts[0] == "0" : parts[1].split(separator: ",").contains { $0 == hierarchy }
      if isWanted { return parts[2] == "/" ? "" : String(parts[2]) }
    }
    return nil
  }

  private static func isDelegated(_ path: FilePath) -> Bool {
    ["user.delegate", "trusted.delegate"].contains { name in
      var value: UInt8 = 0
      return path.withPlatformString { getxattr($0, name, &value, 1) } == 1 && value == UInt8(ascii: "1")
    }
  }

  private static func write(_ text: String, to path: FilePath) throws(POSIXError) {
    try OpenFile(path, .writeOnly).write(all: Array(text.utf8))
  }

  /// Opens `cgroup.procs`, for a child to join before exec.
  public func openProcs() throws(POSIXError) -> OpenFile {
    try OpenFile(path.appending("cgroup.procs"), .writeOnly)
  }

  /// Sends SIGKILL to every process in it.
  public func kill() throws(POSIXError) { try Self.write("1", to: path.appending("cgroup.kill")) }

  public var isPopulated: Bool {
    guard let bytes = try? FileSystem.read(path.appending("cgroup.events")) else { return false }
    return String(decoding: bytes, as: UTF8.self).contains("populated 1")
  }
}
