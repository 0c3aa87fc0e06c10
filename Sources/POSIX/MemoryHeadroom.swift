public import SystemPackage

/// Memory that processes of this job can still use before something is killed.
public enum MemoryHeadroom {
  /// In bytes: what the machine has available, or less where a cgroup of this process is limited.
  public static var bytes: Int {
    let machine = field("MemAvailable:", of: "/proc/meminfo").map { $0.multipliedReportingOverflow(by: 1024) }
    var least = machine.map { $0.overflow ? .max : $0.partialValue } ?? .max
    if let own = Cgroup.own { least = min(least, bytes(in: own.path)) }
    if let name = Cgroup.membership("memory") {
      least = min(least, bytes(in: FilePath("/sys/fs/cgroup/memory" + name)))
    }
    return least
  }

  /// Whether a slot of the arena may take so many bytes of memory: half of what is left is for the trainer, which is
  /// better off with a slow copy than killed.
  public static func suffices(for bytes: Int) -> Bool { bytes <= Self.bytes / 2 }

  /// The least that a cgroup or one of its parents leaves. Pages of files count as available, since the kernel
  /// reclaims them.
  public static func bytes(in cgroup: FilePath) -> Int {
    var least = Int.max
    var path = cgroup
    while !path.components.isEmpty {
      for (limit, usage) in [
        ("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"),
      ] {
        guard let limit = number(path.appending(limit)), let usage = number(path.appending(usage)) else {
          continue
        }
        let files = ["inactive_file", "active_file"].compactMap {
          field($0, of: path.appending("memory.stat"))
        }
        least = min(least, max(0, limit - usage) + files.reduce(0, +))
      }
      path = path.removingLastComponent()
    }
    return least
  }

  /// nil: there is no such file, or no limit in it.
  private static func number(_ path: FilePath) -> Int? {
    guard let text = try? FileSystem.read(path) else { return nil }
    return Int(String(decoding: text, as: UTF8.self).filter { !$0.isWhitespace })
  }

  private static func field(_ name: String, of path: FilePath) -> Int? {
    guard let text = try? FileSystem.read(path) else { return nil }
    for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.count >= 2, words[0] == name { return Int(words[1]) }
    }
    return nil
  }
}
