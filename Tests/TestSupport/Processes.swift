import Foundation

/// Running processes of a group, from /proc. Zombies do not count: if process 1 reaps none, as in a container,
/// orphans stay zombies forever, and kill(2) still finds them.
public enum Processes {
  public static func running(inGroup group: Int32) -> [Int32] {
    all.filter { $0.group == group }.map(\.pid)
  }

  public static func isRunning(_ pid: Int32) -> Bool { entry(pid) != nil }

  private static var all: [(pid: Int32, group: Int32)] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return names.compactMap { Int32($0) }.compactMap { pid in entry(pid).map { (pid, $0) } }
  }

  /// - Returns: its group; nil when it is not running.
  private static func entry(_ pid: Int32) -> Int32? {
    guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/stat") else { return nil }
    let text = String(decoding: data, as: UTF8.self)
    // After the name in parentheses, which may contain any character: state, parent, group.
    guard let end = text.lastIndex(of: ")") else { return nil }
    let fields = text[end...].dropFirst().split(separator: " ")
    guard fields.count > 2, !["Z", "X"].contains(fields[0]) else { return nil }
    return Int32(fields[2])
  }
}
