import Glibc
import SystemPackage

/// Detects kills by the kernel's OOM killer since its creation: by the counter of a cgroup and, if it is readable,
/// by the kernel log.
public final class OutOfMemoryWatch {
  private let counter: FilePath?
  private let before: UInt64
  private let log: OpenFile?

  /// - Parameter cgroup: that of the watched processes; nil: they are in `shared`.
  /// - Parameter shared: a cgroup that contains them and possibly others.
  public init(_ cgroup: Cgroup?, shared: Cgroup?) {
    let candidates = Self.candidates(cgroup, shared)
    counter = candidates.first { Self.kills($0) != nil }
    before = counter.flatMap(Self.kills) ?? 0
    // Earlier messages are about other processes.
    log = try? OpenFile(device: "/dev/kmsg")
    if let log { lseek(log.descriptor, 0, SEEK_END) }
  }

  private static func candidates(_ cgroup: Cgroup?, _ shared: Cgroup?) -> [FilePath] {
    var paths = [cgroup, shared].compactMap { $0?.path.appending("memory.events") }
    // Systems with the memory controller in cgroup version 1.
    if let name = Cgroup.membership("memory") {
      paths.append(FilePath("/sys/fs/cgroup/memory" + name).appending("memory.oom_control"))
      // In a container, the cgroup of this process is mounted as the root.
      paths.append("/sys/fs/cgroup/memory/memory.oom_control")
    }
    return paths
  }

  private static func kills(_ path: FilePath) -> UInt64? {
    guard let bytes = try? FileSystem.read(path) else { return nil }
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.count == 2, words[0] == "oom_kill" { return UInt64(words[1]) }
    }
    return nil
  }

  /// Number of killed processes; nil without a counter.
  public var killed: UInt64? { counter.flatMap(Self.kills).map { $0 - min($0, before) } }

  /// Whether the kernel log names this process, which it does before the process can end. The log has pids of the
  /// initial namespace: in a container with its own, nothing is found.
  public func logNames(_ pid: pid_t) -> Bool {
    guard let log else { return false }
    var record = [UInt8](repeating: 0, count: 8192)
    while true {
      let count = read(log.descriptor, &record, record.count)
      // EPIPE: records were overwritten; continue with the next ones.
      if count < 0, errno == EPIPE || errno == EINTR { continue }
      guard count > 0 else { return false }
      let text = String(decoding: record.prefix(count), as: UTF8.self)
      if text.contains("Killed process \(pid) (") { return true }
    }
  }
}
