import CSpawn
import Glibc
public import SystemPackage

/// A cgroup (version 2) of our own below the one that systemd delegated to us, so that all of a
/// trainer's processes can be killed by one write, wherever they fork themselves to, and what the
/// kernel counts for them is counted apart.
public struct Cgroup: Sendable {
  public let path: FilePath

  /// Divides our own cgroup in two leaves: this process moves into one, the other is for children.
  /// A cgroup that gives controllers to those below it may hold no process itself (cgroups(7), "no
  /// internal processes").
  /// - Returns: the children's; nil where our cgroup is not ours to divide: not version 2, not
  ///   delegated (`Delegate=yes` marks it), not writable.
  public static func divide(own ownLeaf: String, children: String) -> Cgroup? {
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
    // Without the controller (version 1 has it, or somebody else is still in our cgroup) there is no count
    // of the trainer's alone; the one above has it too.
    try? write("+memory", to: own.path.appending("cgroup.subtree_control"))
    return Cgroup(path: path)
  }

  /// That of this process; nil without cgroup version 2.
  public static var own: Cgroup? {
    guard let name = membership("0::") else { return nil }
    for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
      let path = FilePath(root + name)
      if FileSystem.exists(path.appending("cgroup.procs")) { return Cgroup(path: path) }
    }
    return nil
  }

  /// The name of our cgroup in the hierarchy whose line in /proc/self/cgroup has this in front.
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

  /// For a child to write itself into before exec.
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
